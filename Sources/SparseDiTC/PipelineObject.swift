import CSparseDiT
import Glibc
import SparseDiT
import Synchronization
import Tensors

/// What a `sparsedit_pipeline` stands for.
final class PipelineObject: HostObject, Sendable {
  static let mark: UInt64 = 0xD17A_5BA5_E0F1_9E01

  let pipeline: Pipeline
  let message = LastMessage()
  let log: HostLog
  /// The model's family, as a C string that lives as long as the handle.
  let family: HostString

  init(pipeline: Pipeline, log: HostLog) {
    self.pipeline = pipeline
    self.log = log
    family = HostString(pipeline.info.family)
  }

  /// Lets one call into the pipeline at a time, before it looks at anything: a second one, also out
  /// of a callback, finds it busy whatever its arguments are. A cancel request that was accepted
  /// while the call ran wins over its success, so that the host can rely on either answer.
  func exclusively<Result>(
    _ call: (PipelineStages) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let cancellation = Cancellation()
    try engine { () throws(SparseDiTError) in try pipeline.gate.enter(cancellation) }
    let outcome = Swift.Result { () throws(Failure) in
      try call(pipeline.stages(cancellation))
    }
    log.deliver()
    let wasCancelled = pipeline.gate.leave()
    let result = try outcome.get()
    if wasCancelled { throw Failure(.cancelled) }
    return result
  }

  /// Makes one call on behalf of the host, see ``exclusively(_:)``.
  func answer(_ call: (PipelineStages) throws(Failure) -> Void) -> sparsedit_status {
    message.answer { () throws(Failure) in try exclusively(call) }
  }

  /// False when no call is running.
  func cancel() -> Bool { pipeline.gate.cancel() }
}

/// A host's log callback. The engine may speak on any of its threads; the host is told on the
/// thread that called, before the call returns.
final class HostLog: Sendable {
  private let callback: HostCallback<sparsedit_log_callback>?
  private let lines = Mutex<[String]>([])

  init(_ callback: sparsedit_log_callback?, userData: UnsafeMutableRawPointer?) {
    self.callback = callback.map { HostCallback(function: $0, userData: userData) }
  }

  func add(_ line: String) {
    guard callback != nil else { return }
    lines.withLock { $0.append(messageLine(line)) }
  }

  func deliver() {
    guard let callback else { return }
    let waiting = lines.withLock { lines in
      defer { lines = [] }
      return lines
    }
    for line in waiting { line.withCString { callback.function($0, callback.userData) } }
  }
}

/// A host's function with the pointer that it wants back.
struct HostCallback<Function>: @unchecked Sendable {
  // Unchecked: both are the host's, and only used on the thread that the host called on.
  let function: Function
  let userData: UnsafeMutableRawPointer?
}

/// A C string that lives as long as this object.
final class HostString: @unchecked Sendable {
  // Unchecked: never written after init.
  let pointer: UnsafePointer<CChar>

  init(_ text: String) {
    let bytes = Array(text.utf8CString)
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
    copy.initialize(from: bytes, count: bytes.count)
    pointer = UnsafePointer(copy)
  }

  deinit { pointer.deallocate() }
}
