import Glibc
import SparseDiT

/// One line on a terminal's standard error that is drawn over and over; silent anywhere else.
struct ProgressBar: Sendable {
  private let isShown: Bool

  init(isQuiet: Bool) {
    isShown = !isQuiet && Self.isTerminal
  }

  /// Says what is going on while there is nothing to count.
  func show(_ text: String) {
    guard isShown else { return }
    Self.redraw(messageLine(text))
  }

  /// - Parameters:
  ///   - picture: 1-based number of the picture.
  ///   - pictures: how many there are in all.
  func show(_ progress: StepProgress, picture: Int, of pictures: Int) {
    guard isShown else { return }
    let count = pictures > 1 ? "[\(picture)/\(pictures)] " : ""
    let detail =
      " step \(progress.step)/\(progress.steps) · \(progress.tokens)/\(progress.denseTokens) tokens"
      + " · \(Self.duration(progress.secondsLeft)) left"
    let room = Self.columns - count.count - detail.count - 1
    Self.redraw(count + Self.bar(progress.step, of: progress.steps, width: min(room, 40)) + detail)
  }

  /// - Parameter text: what is being done.
  func show(_ text: String, bytes: Int, of total: Int) {
    guard isShown else { return }
    // Text of the caller's last: what is too long is cut there.
    let detail = " \(bytes >> 20)/\(total >> 20) MiB · "
    let done = Self.bar(bytes >> 10, of: max(total >> 10, 1), width: min(Self.columns / 2, 40))
    Self.redraw(done + detail + messageLine(text))
  }

  func clear() {
    guard isShown else { return }
    Self.clearLine()
  }

  static func clearLine() {
    guard isTerminal else { return }
    writeError("\r\u{1B}[K")
  }

  private static var isTerminal: Bool {
    guard isatty(STDERR_FILENO) == 1 else { return false }
    return getenv("TERM").map { String(cString: $0) } != "dumb"
  }

  private static func redraw(_ text: String) {
    // Cut rather than wrapped: a wrapped line could not be drawn over.
    writeError("\r" + text.prefix(max(columns - 1, 1)) + "\u{1B}[K")
  }

  private static func bar(_ done: Int, of total: Int, width: Int) -> String {
    guard width >= 8, total > 0 else { return "" }
    let filled = min(max(width * done / total, 0), width)
    return String(repeating: "━", count: filled) + String(repeating: "─", count: width - filled)
  }

  private static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e6 else { return "?" }
    let whole = Int(seconds.rounded())
    return whole < 60 ? "\(whole) s" : "\(whole / 60) min \(whole % 60) s"
  }

  private static var columns: Int {
    var size = winsize()
    guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
    return Int(size.ws_col)
  }
}

/// Writes to standard error; what cannot be written there is lost.
func writeError(_ text: String) {
  try? AtomicFile.write(Array(text.utf8), to: STDERR_FILENO, name: "standard error")
}
