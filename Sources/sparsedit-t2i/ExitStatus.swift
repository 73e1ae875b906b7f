import SparseDiT

/// What the process ends with: the values of BSD's sysexits.h, and 128 + SIGINT.
enum ExitStatus: Int32 {
  case success = 0
  case usage = 64
  case badData = 65
  case missingInput = 66
  case internalFailure = 70
  /// The system does not have enough memory or threads.
  case systemRefusal = 71
  case cannotWrite = 73
  case interrupted = 130

  init(_ error: SparseDiTError) {
    self =
      switch error {
      case .invalidArgument: .usage
      case .invalidData, .unsupported: .badData
      case .notFound: .missingInput
      case .cannotWrite: .cannotWrite
      case .cancelled: .interrupted
      case .busy, .internalFailure: .internalFailure
      case .outOfMemory: .systemRefusal
      }
  }
}
