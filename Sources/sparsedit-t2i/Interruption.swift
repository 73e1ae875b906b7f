import Glibc
import SparseDiT
import Synchronization

/// Ctrl-C and `kill`: the first asks the running picture to stop, the second ends the process at once.
/// Either way no temporary file stays behind, and the exit code is 130.
///
/// The signals are blocked everywhere and received by one waiting thread, so that what happens on one
/// is ordinary code, free of the rules for signal handlers. A signal while nothing can be cancelled
/// (a model is loading) ends the process at once.
final class Interruption: Sendable {
  private struct State {
    var control: RunControl?
    var temporary: String?
    var isRequested = false
  }
  private let state = Mutex(State())

  init() {
    // A closed pipe and a file size limit are to be errors of `write`, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    var signals = Self.signals
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    var thread = pthread_t()
    let own = Unmanaged.passRetained(self).toOpaque()
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Interruption>.fromOpaque(argument).takeRetainedValue().serve()
      }, own)
    // Without a thread to receive them, signals do what they do to any program.
    if status != 0 {
      Unmanaged<Interruption>.fromOpaque(own).release()
      pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }
  }

  /// Whether a signal has asked to stop.
  var isRequested: Bool { state.withLock { $0.isRequested } }

  /// Runs `body` so that a signal cancels `control`.
  func cancelling<Result, Failure: Error>(
    _ control: RunControl, _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    state.withLock { state in
      state.control = control
      if state.isRequested { control.cancel() }
    }
    defer { state.withLock { $0.control = nil } }
    return try body()
  }

  /// Names the file that is to be removed if the process ends now.
  func setTemporary(_ path: String?) {
    state.withLock { $0.temporary = path }
  }

  private func serve() -> Never {
    var signals = Self.signals
    var received: Int32 = 0
    while true {
      guard sigwait(&signals, &received) == 0 else { continue }
      state.withLock { state in
        guard let control = state.control, !state.isRequested else {
          // The lock is kept: nobody makes another file before the process is gone.
          if let temporary = state.temporary { unlink(temporary) }
          ProgressBar.clearLine()
          Program.complain(.cancelled)
          _exit(ExitStatus.interrupted.rawValue)
        }
        state.isRequested = true
        control.cancel()
      }
    }
  }

  private static var signals: sigset_t {
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    sigaddset(&signals, SIGTERM)
    return signals
  }
}
