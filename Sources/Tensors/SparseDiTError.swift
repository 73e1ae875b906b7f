/// Everything that can go wrong, sorted by whose mistake it was.
///
/// The message is one line, names what was wrong (file, key, tensor, option, number), and is meant for a person.
public enum SparseDiTError: Error, Sendable, Equatable {
  /// An option, size, step count, seed or prompt that the caller gave.
  case invalidArgument(String)
  /// A file whose content is wrong.
  case invalidData(String)
  /// A file or setting that is legal but not supported here.
  case unsupported(String)
  /// A file or folder that is not there or cannot be read.
  case notFound(String)
  /// A request that would not fit in memory, an allocation that failed, or threads that the system
  /// refused; names the number of bytes or threads.
  case outOfMemory(String)
  /// An output that could not be written.
  case cannotWrite(String)
  /// The caller cancelled.
  case cancelled
  /// The handle is in use by another thread.
  case busy(String)
  /// A failure of the library or of a library below it.
  case internalFailure(String)
}

extension SparseDiTError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .invalidArgument(let message), .invalidData(let message), .unsupported(let message),
      .notFound(let message), .outOfMemory(let message), .cannotWrite(let message),
      .busy(let message), .internalFailure(let message):
      message
    case .cancelled: "cancelled"
    }
  }
}
