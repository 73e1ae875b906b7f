import COneDNN

/// Owner of a oneDNN engine; turns its failures into errors.
final class OneDNN {
  let engine: OpaquePointer

  init(_ team: ck_team) throws(SparseDiTError) {
    var engine: OpaquePointer?
    var message = [CChar](repeating: 0, count: 256)
    let status = dn_engine_create(team, &engine, &message, message.count)
    guard status == dn_ok, let engine else {
      throw Self.error(status, message.withUnsafeBufferPointer { Self.text($0.baseAddress) })
    }
    self.engine = engine
  }

  deinit { dn_engine_destroy(engine) }

  /// Which kernels primitives were made of since this was last asked, see `dn_kernels`.
  func takeKernels() -> [String] {
    Self.text(dn_kernels(engine)).split(separator: "\n").map(String.init)
  }

  func check(_ status: dn_status) throws(SparseDiTError) {
    guard status == dn_ok else { throw Self.error(status, Self.text(dn_message(engine))) }
  }

  private static func text(_ message: UnsafePointer<CChar>?) -> String {
    message.map { String(cString: $0) } ?? ""
  }

  private static func error(_ status: dn_status, _ message: String) -> SparseDiTError {
    switch status {
    case dn_out_of_memory: .outOfMemory(message)
    case dn_unsupported: .unsupported(message)
    default: .internalFailure(message)
    }
  }
}
