import Foundation
import Testing

/// Runs the built `sparsedit-t2i` as a user would: as a process, in a folder of its own.
struct Tool {
  struct Outcome {
    /// Exit code, or minus the signal that ended the process.
    let code: Int32
    let output: Data
    let errors: String

    var text: String { String(decoding: output, as: UTF8.self) }
  }

  /// Where the process runs; removed by ``remove()``.
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "sparsedit-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  func remove() {
    try? FileManager.default.removeItem(at: folder)
  }

  /// Every file in the folder, hidden ones too.
  var files: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }
  }

  func data(_ name: String) throws -> Data {
    try Data(contentsOf: folder.appending(path: name))
  }

  @discardableResult
  func write(_ text: String, to name: String) throws -> String {
    let url = folder.appending(path: name)
    try Data(text.utf8).write(to: url)
    return url.path
  }

  // MARK: Running

  /// Options for the least picture that the test model draws: 16×16 pixels in one step.
  static let small = ["--model", model, "-W", "16", "-H", "16", "--steps", "1"]

  @discardableResult
  func run(_ arguments: [String], input: String = "") throws -> Outcome {
    try finish(start(arguments, input: input))
  }

  /// Runs through the shell, for what only a shell can set up; `$TOOL` is the program.
  func shell(_ script: String) throws -> Outcome {
    try finish(launch("/bin/bash", ["-c", script], input: ""))
  }

  func start(_ arguments: [String], input: String = "") throws -> Running {
    try launch(Self.binary.path, arguments, input: input)
  }

  struct Running {
    let process: Process
    let output: URL
    let errors: URL
  }

  /// Output goes to files, not pipes: a pipe that nobody empties would stop the process.
  private func launch(_ program: String, _ arguments: [String], input: String) throws -> Running {
    let streams = FileManager.default.temporaryDirectory.appending(path: "sparsedit-io-\(UUID())")
    try FileManager.default.createDirectory(at: streams, withIntermediateDirectories: true)
    let output = streams.appending(path: "output")
    let errors = streams.appending(path: "errors")
    let given = streams.appending(path: "input")
    try Data(input.utf8).write(to: given)
    for url in [output, errors] { try Data().write(to: url) }
    let process = Process()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.environment = ProcessInfo.processInfo.environment.merging(["TOOL": Self.binary.path]) {
      $1
    }
    process.standardInput = try FileHandle(forReadingFrom: given)
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    return Running(process: process, output: output, errors: errors)
  }

  func finish(_ running: Running) throws -> Outcome {
    running.process.waitUntilExit()
    defer { try? FileManager.default.removeItem(at: running.output.deletingLastPathComponent()) }
    let status = running.process.terminationStatus
    return Outcome(
      code: running.process.terminationReason == .uncaughtSignal ? -status : status,
      output: try Data(contentsOf: running.output),
      errors: try String(contentsOf: running.errors, encoding: .utf8))
  }

  // MARK: Places

  /// A complete small PixArt pipeline with random weights.
  static let model = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Golden/pixart-alpha").path

  /// The program is built into the folder that holds the test bundle.
  static let binary = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().appending(path: "sparsedit-t2i")
}

/// Runs `body` with a tool whose folder is removed afterwards.
func withTool(_ body: (Tool) throws -> Void) throws {
  let tool = try Tool()
  defer { tool.remove() }
  try body(tool)
}

/// Expects a refusal: this exit code, one line on standard error that holds `words`, nothing on
/// standard output, and no file but those that were there before.
func expectRefusal(
  _ tool: Tool, _ arguments: [String], input: String = "", code: Int32, words: [String],
  sourceLocation: SourceLocation = #_sourceLocation
) throws {
  let before = try tool.files
  let outcome = try tool.run(arguments, input: input)
  #expect(outcome.code == code, "\(arguments): \(outcome.errors)", sourceLocation: sourceLocation)
  #expect(outcome.output.isEmpty, "\(arguments)", sourceLocation: sourceLocation)
  #expect(outcome.errors.hasPrefix("sparsedit-t2i: "), sourceLocation: sourceLocation)
  #expect(
    outcome.errors.hasSuffix("\n") && outcome.errors.count { $0.isNewline } == 1,
    "one line: \(outcome.errors)", sourceLocation: sourceLocation)
  for word in words {
    #expect(
      outcome.errors.contains(word), "\(arguments): \(word) in \(outcome.errors)",
      sourceLocation: sourceLocation)
  }
  #expect(try tool.files == before, "\(arguments)", sourceLocation: sourceLocation)
}
