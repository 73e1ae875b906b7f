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
  private let gate = Gate()

  init(pipeline: Pipeline, log: HostLog) {
    self.pipeline = pipeline
    self.log = log
    family = HostString(pipeline.info.family)
  }

  /// Lets one call into the pipeline at a time, before it looks at anything: a second one, also out
  /// of a callback, finds it busy whatever its arguments are. A cancel request that was accepted
  /// while the call ran wins over its success, so that the host can rely on either answer.
  ///
  /// - Parameter call: is given what a cancel request stops, unless it puts a control of its own in
  ///   its place with ``watch(_:)``.
  func exclusively<Result>(
    _ call: (RunControl) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let control = RunControl()
    guard gate.enter(control) else {
      throw Failure(.busy("another call on this pipeline is running"))
    }
    do throws(Failure) {
      let result = try call(control)
      log.deliver()
      if gate.leave() { throw Failure(.cancelled) }
      return result
    } catch {
      log.deliver()
      _ = gate.leave()
      throw error
    }
  }

  /// Makes one call on behalf of the host, see ``exclusively(_:)``.
  func answer(_ call: (RunControl) throws(Failure) -> Void) -> sparsedit_status {
    message.answer { () throws(Failure) in try exclusively(call) }
  }

  /// From inside ``exclusively(_:)``: cancel requests stop this control.
  func watch(_ control: RunControl) { gate.watch(control) }

  /// False when no call is running.
  func cancel() -> Bool { gate.cancel() }
}

/// Which call is running, if any, and how to stop it.
private final class Gate: Sendable {
  private let running = Mutex<RunControl?>(nil)

  /// False when a call is running already.
  func enter(_ control: RunControl) -> Bool {
    running.withLock { running in
      guard running == nil else { return false }
      running = control
      return true
    }
  }

  /// Takes over a cancel request that was there before.
  func watch(_ control: RunControl) {
    running.withLock { running in
      if running?.isCancelled ?? false { control.cancel() }
      running = control
    }
  }

  /// Ends the running call; true when it had been cancelled. From here on nothing can cancel it.
  func leave() -> Bool {
    running.withLock { running in
      defer { running = nil }
      return running?.isCancelled ?? false
    }
  }

  func cancel() -> Bool {
    running.withLock { running in
      running?.cancel()
      return running != nil
    }
  }
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
