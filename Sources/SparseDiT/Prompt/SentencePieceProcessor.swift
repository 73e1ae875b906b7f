import CSentencePiece
import Tensors

/// A model in libsentencepiece. Immutable; may be used from several threads.
final class SentencePieceProcessor: @unchecked Sendable {
  // Unchecked: encoding only reads what the handle stands for.
  private let handle: OpaquePointer
  private let name: String

  /// - Parameters:
  ///   - model: checked.
  ///   - name: of its file, for messages.
  /// - Throws: `notFound` when libsentencepiece is not installed, `unsupported` when it is one of
  ///   another version; `outOfMemory`; `invalidData` when the library refuses the model.
  init(_ model: SentencePieceModel, name: String) throws(SparseDiTError) {
    var handle: OpaquePointer?
    var message = Message()
    let status = model.serialized().withUnsafeBytes { bytes in
      message.write {
        sp_processor_create(bytes.baseAddress, bytes.count, &handle, $0.baseAddress, $0.count)
      }
    }
    guard status == sp_ok, let handle else {
      throw status == sp_failed ? .invalidData(message.text(name)) : message.error(status, name)
    }
    self.handle = handle
    self.name = name
  }

  deinit { sp_processor_destroy(handle) }

  /// The ids of a text.
  /// - Throws: `outOfMemory`; `internalFailure` when the library fails.
  func encode(_ text: some StringProtocol) throws(SparseDiTError) -> [Int32] {
    var text = String(text)
    // Enough, except where characters are replaced by longer ones or by bytes: then a second time.
    var capacity = text.utf8.count + 8
    while true {
      var count = 0
      var message = Message()
      var status = sp_ok
      let ids = [Int32](unsafeUninitializedCapacity: capacity) { ids, filled in
        status = text.withUTF8 { utf8 in
          utf8.withMemoryRebound(to: CChar.self) { utf8 in
            message.write {
              sp_encode(
                handle, utf8.baseAddress, utf8.count, ids.baseAddress, ids.count, &count,
                $0.baseAddress, $0.count)
            }
          }
        }
        filled = status == sp_ok ? min(count, ids.count) : 0
      }
      guard status == sp_ok else { throw message.error(status, name) }
      if count <= capacity { return ids }
      capacity = count
    }
  }
}

/// Room for a message of the library.
private struct Message {
  private var buffer = [CChar](repeating: 0, count: 1024)

  mutating func write(
    _ body: (UnsafeMutableBufferPointer<CChar>) -> sp_status
  ) -> sp_status {
    buffer.withUnsafeMutableBufferPointer { body($0) }
  }

  /// In one line, behind the name of the model's file.
  func text(_ name: String) -> String {
    let bytes = buffer.prefix { $0 != 0 }.map {
      $0 >= 0 && $0 < 0x20 ? 0x20 : UInt8(bitPattern: $0)
    }
    return "\(name): \(String(decoding: bytes, as: UTF8.self))"
  }

  func error(_ status: sp_status, _ name: String) -> SparseDiTError {
    switch status {
    case sp_missing: .notFound(text(name))
    case sp_unsupported: .unsupported(text(name))
    case sp_out_of_memory: .outOfMemory(text(name))
    default: .internalFailure(text(name))
    }
  }
}
