import Glibc
import SparseDiT
import Synchronization

/// Ctrl-C, Ctrl-\, `kill` and a terminal that is closed: the first asks the running picture to stop,
/// the second ends the process at once. Either way no temporary file stays behind, and the exit code
/// is 130.
///
/// The signals are blocked everywhere and received by one waiting thread, so that what happens on one
/// is ordinary code, free of the rules for signal handlers. A signal while nothing can be cancelled
/// (a model is loading, a picture is being written, perhaps to a pipe that nobody reads) ends the
/// process at once.
final class Interruption: Sendable {
  private struct State {
    var control: RunControl?
    var temporary: String?
    var isRequested = false
    var isWriting = false
    var isEnding = false
  }
  private let state = Mutex(State())
  private let signals: sigset_t

  init() {
    // A closed pipe and a file size limit are to be errors of `write`, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    var signals = Self.signalsToReceive()
    self.signals = signals
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

  /// Runs `body`, which writes and may wait for a reader for ever, so that a signal ends the process.
  ///
  /// - Throws: `cancelled` when a signal came before; what `body` throws.
  func writing(_ body: () throws(SparseDiTError) -> Void) throws(SparseDiTError) {
    let isFirst = state.withLock { state in
      state.isWriting = !state.isRequested
      return state.isWriting
    }
    guard isFirst else { throw .cancelled }
    defer { state.withLock { $0.isWriting = false } }
    try body()
  }

  /// Says why the process ends, unless a signal just said that it was interrupted. From here on
  /// signals are ignored.
  func end(saying message: String) {
    state.withLock { state in
      state.isEnding = true
      ProgressBar.clearLine()
      Program.say(message)
    }
  }

  /// Names the file that is to be removed if the process ends now.
  func setTemporary(_ path: String?) {
    state.withLock { $0.temporary = path }
  }

  private func serve() -> Never {
    var signals = signals
    var received: Int32 = 0
    while true {
      guard sigwait(&signals, &received) == 0 else { continue }
      state.withLock { state in
        guard !state.isEnding else { return }
        guard let control = state.control, !state.isRequested, !state.isWriting else {
          // The lock is kept: nobody makes another file or says more before the process is gone.
          if let temporary = state.temporary { unlink(temporary) }
          ProgressBar.clearLine()
          Program.say(Program.interrupted)
          _exit(ExitStatus.interrupted.rawValue)
        }
        state.isRequested = true
        control.cancel()
      }
    }
  }

  /// A program that `nohup` starts ignores SIGHUP, and is to go on doing so.
  private static func signalsToReceive() -> sigset_t {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM] { sigaddset(&signals, signal) }
    for signal in [SIGHUP, SIGQUIT] where !isIgnored(signal) { sigaddset(&signals, signal) }
    return signals
  }

  private static func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(signal, nil, &action) == 0 else { return false }
    // SIG_IGN is the number 1 as a function's address.
    return action.__sigaction_handler.sa_handler.map { unsafeBitCast($0, to: Int.self) }
      == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
