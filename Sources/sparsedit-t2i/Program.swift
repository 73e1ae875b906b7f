import ArgumentParser
import Glibc
import SparseDiT

/// The command line: options in, pictures out, one line on standard error when something is wrong.
struct Program {
  static let name = "sparsedit-t2i"
  static let version = "0.1.0"

  static let interrupted = "interrupted"

  let interruption: Interruption

  /// Does what the process's arguments ask for and returns what it is to exit with.
  func run() -> Int32 {
    do {
      let options = try Command.parse(Self.arguments()).options
      return status { () throws(SparseDiTError) in try work(options) }
    } catch let error as SparseDiTError {
      return failure(error)
    } catch {
      return finish(parsing: error)
    }
  }

  /// Runs `body`, prints its error if it throws one, and returns what the process is to exit with.
  private func status(_ body: () throws(SparseDiTError) -> Void) -> Int32 {
    do throws(SparseDiTError) {
      try body()
      return ExitStatus.success.rawValue
    } catch {
      return failure(error)
    }
  }

  private func failure(_ error: SparseDiTError) -> Int32 {
    interruption.end(saying: error == .cancelled ? Self.interrupted : error.description)
    return ExitStatus(error).rawValue
  }

  private func work(_ options: Options) throws(SparseDiTError) {
    if options.version { return try writeOutput("\(Self.name) \(Self.version)\n") }
    if options.words { return try writeOutput(WordList(of: options.modelFolder()).text) }
    if options.cost.isAsked { return try Costing(options: options).run() }
    try Drawing(options: options, interruption: interruption).run()
  }

  /// Help goes to standard output, a mistake in the options becomes one line.
  private func finish(parsing error: any Error) -> Int32 {
    guard Command.exitCode(for: error) != .success else {
      return status { () throws(SparseDiTError) in
        try writeOutput(Command.fullMessage(for: error) + "\n")
      }
    }
    Self.say(Command.message(for: error))
    return ExitStatus.usage.rawValue
  }

  /// Says one line on standard error, whatever the text holds.
  static func say(_ text: String) {
    writeError(messageLine("\(name): \(text)") + "\n")
  }

  /// The arguments as text.
  ///
  /// - Throws: `invalidArgument` naming the place of one that is not UTF-8, which Swift's own list
  ///   would have repaired.
  private static func arguments() throws(SparseDiTError) -> [String] {
    var result: [String] = []
    for index in 1..<max(Int(CommandLine.argc), 1) {
      guard let bytes = CommandLine.unsafeArgv[index] else { break }
      guard let text = String(validatingCString: bytes) else {
        throw .invalidArgument("argument \(index) is not valid UTF-8")
      }
      result.append(text)
    }
    return result
  }
}

/// Writes text to standard output.
func writeOutput(_ text: String) throws(SparseDiTError) {
  try AtomicFile.write(Array(text.utf8), to: STDOUT_FILENO, name: "standard output")
}
