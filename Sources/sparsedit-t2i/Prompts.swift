import Glibc
import SparseDiT

/// What is to be drawn, and what messages call it.
struct Prompt {
  let text: String
  /// "prompt", or "prompts.txt line 3".
  let name: String
}

enum Prompts {
  /// Far more than anyone types, little enough to read a mistaken `--prompts-file /dev/zero`.
  private static let sizeLimit = 64 << 20
  /// U+FEFF in UTF-8, which some editors put before a text.
  private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  /// The prompts of a file, one per line; empty lines are skipped, and a byte order mark at the
  /// beginning is no part of the first.
  ///
  /// - Parameter path: "-" is standard input.
  /// - Throws: `notFound` when it cannot be read; `invalidData` naming the line that is too long, not
  ///   UTF-8 or has a NUL in it, and when there is no prompt in it, or it is too large.
  static func read(_ path: String) throws(SparseDiTError) -> [Prompt] {
    let name = path == "-" ? "standard input" : path
    var content = try bytes(path, name: name)[...]
    if content.starts(with: byteOrderMark) { content.removeFirst(byteOrderMark.count) }
    let lines = content.split(
      separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    var prompts: [Prompt] = []
    for (index, var line) in lines.enumerated() {
      if line.last == UInt8(ascii: "\r") { line.removeLast() }
      if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) { continue }
      let lineName = "\(name) line \(index + 1)"
      prompts.append(Prompt(text: try text(line, name: lineName), name: lineName))
    }
    guard !prompts.isEmpty else { throw .invalidData("\(name): holds no prompt") }
    return prompts
  }

  /// A line that is no prompt is a mistake in the file, not on the command line.
  private static func text(
    _ line: ArraySlice<UInt8>, name: String
  ) throws(SparseDiTError) -> String {
    do throws(SparseDiTError) {
      return try Caption.checked(Array(line), name: name)
    } catch .invalidArgument(let message) {
      throw .invalidData(message)
    }
  }

  private static func bytes(_ path: String, name: String) throws(SparseDiTError) -> [UInt8] {
    guard !path.isEmpty else { throw .notFound("file of prompts: the path is empty") }
    let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .notFound("\(name): \(reason(errno))") }
    defer { if path != "-" { close(descriptor) } }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count == 0 { return content }
      if count < 0 {
        if errno == EINTR { continue }
        throw .notFound("\(name): \(reason(errno))")
      }
      content += chunk[..<count]
      guard content.count <= sizeLimit else {
        throw .invalidData("\(name): is larger than \(sizeLimit >> 20) MiB")
      }
    }
  }

  private static func reason(_ code: Int32) -> String {
    switch code {
    case ENOENT: "does not exist"
    case EISDIR: "is a folder, not a file of prompts"
    default: "cannot be read: \(String(cString: strerror(code)))"
    }
  }
}
