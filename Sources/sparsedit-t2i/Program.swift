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
    do throws(SparseDiTError) {
      let arguments = try Self.arguments()
      if arguments.first == ImportCommand.name {
        return run(ImportCommand.self, Array(arguments.dropFirst())) {
          command throws(SparseDiTError) in
          try Importing(command: command, interruption: interruption).run()
        }
      }
      if arguments == ["help"] { return tell(WholeCommand.self, ["--help"]) }
      if arguments == ["help", ImportCommand.name] { return tell(ImportCommand.self, ["--help"]) }
      return run(Command.self, arguments) { command throws(SparseDiTError) in
        try work(command.options)
      }
    } catch {
      return failure(error)
    }
  }

  /// Parses the arguments of a command and does it. Returns what the process is to exit with.
  private func run<Parsed: ParsableCommand>(
    _ type: Parsed.Type, _ arguments: [String],
    _ body: (Parsed) throws(SparseDiTError) -> Void
  ) -> Int32 {
    let command: Parsed
    do {
      command = try type.parse(arguments)
    } catch {
      guard type.exitCode(for: error) == .success else {
        Self.say(type.message(for: error))
        return ExitStatus.usage.rawValue
      }
      // Help and completion scripts of the program tell of its subcommands too.
      return type == Command.self ? tell(WholeCommand.self, arguments) : tell(type, arguments)
    }
    return status { () throws(SparseDiTError) in try body(command) }
  }

  /// Prints the help or the script that the arguments ask for.
  private func tell(_ type: any ParsableCommand.Type, _ arguments: [String]) -> Int32 {
    do {
      // Running what was parsed gives the help as an error.
      var command = try type.parseAsRoot(arguments)
      try command.run()
      return ExitStatus.internalFailure.rawValue
    } catch {
      return status { () throws(SparseDiTError) in
        try writeOutput(type.fullMessage(for: error) + "\n")
      }
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
