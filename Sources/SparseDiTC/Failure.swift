import CSparseDiT
import SparseDiT
import Synchronization
import Tensors

/// Why a call failed, as the host is told.
struct Failure: Error {
  let status: sparsedit_status
  /// One printable line.
  let message: String

  init(status: sparsedit_status, message: String) {
    self.status = status
    self.message = messageLine(message)
  }

  static func argument(_ message: String) -> Failure {
    Failure(status: SPARSEDIT_INVALID_ARGUMENT, message: message)
  }
}

extension Failure {
  init(_ error: SparseDiTError) {
    let status: sparsedit_status =
      switch error {
      case .invalidArgument: SPARSEDIT_INVALID_ARGUMENT
      case .invalidData: SPARSEDIT_INVALID_DATA
      case .unsupported: SPARSEDIT_UNSUPPORTED
      case .notFound: SPARSEDIT_NOT_FOUND
      case .outOfMemory: SPARSEDIT_OUT_OF_MEMORY
      case .cannotWrite: SPARSEDIT_CANNOT_WRITE
      case .cancelled: SPARSEDIT_CANCELLED
      case .busy: SPARSEDIT_BUSY
      case .internalFailure: SPARSEDIT_INTERNAL
      }
    self.init(status: status, message: error.description)
  }
}

/// Calls the engine and tells its errors in the interface's terms.
func engine<Result>(_ call: () throws(SparseDiTError) -> Result) throws(Failure) -> Result {
  do {
    return try call()
  } catch {
    throw Failure(error)
  }
}

/// Makes one call that has no handle: its message goes to a buffer of the host.
func answer(
  to buffer: UnsafeMutablePointer<CChar>?, capacity: Int, _ call: () throws(Failure) -> Void
) -> sparsedit_status {
  do {
    try call()
    copyText("", to: buffer, capacity: capacity)
    return SPARSEDIT_OK
  } catch {
    copyText(error.message, to: buffer, capacity: capacity)
    return error.status
  }
}

/// The message of the last failed call on a handle. Any thread may set and read it.
final class LastMessage: Sendable {
  private let text = Mutex("")

  /// Makes one call on behalf of the host: its status is returned and its message kept. A call that
  /// found the handle busy leaves no message, since the running call's is the one of interest.
  func answer(_ call: () throws(Failure) -> Void) -> sparsedit_status {
    do {
      try call()
      return SPARSEDIT_OK
    } catch {
      if error.status != SPARSEDIT_BUSY { text.withLock { $0 = error.message } }
      return error.status
    }
  }

  /// Copies the message to a host's buffer; returns its length.
  func copy(to buffer: UnsafeMutablePointer<CChar>?, capacity: Int) -> Int {
    copyText(text.withLock { $0 }, to: buffer, capacity: capacity)
  }
}

/// Copies text to a host's buffer, NUL-terminated and cut to `capacity` bytes, at a character's
/// boundary; returns the length of the whole in bytes without the NUL.
@discardableResult
func copyText(_ text: String, to buffer: UnsafeMutablePointer<CChar>?, capacity: Int) -> Int {
  let bytes = Array(text.utf8)
  guard let buffer, capacity != 0 else { return bytes.count }
  // A size_t beyond Int.max arrives as a negative number: room enough.
  var length = capacity < 0 ? bytes.count : min(bytes.count, capacity - 1)
  if length < bytes.count {
    while length > 0, bytes[length] & 0xC0 == 0x80 { length -= 1 }
  }
  for index in 0..<length { buffer[index] = CChar(bitPattern: bytes[index]) }
  buffer[length] = 0
  return bytes.count
}
