import ArgumentParser

/// Describes the program for `--help`.
struct Command: ParsableCommand {
  static let configuration = Self.configuration(subcommands: [])

  static func configuration(subcommands: [any ParsableCommand.Type]) -> CommandConfiguration {
    CommandConfiguration(
      commandName: Program.name,
      abstract: "Draws a picture from a prompt, or of a class.",
      discussion: """
        Examples:
          sparsedit-t2i "a red house under a full moon"
          sparsedit-t2i "two yellow flowers" -o flowers.jpg --seed 7 -c 4
          sparsedit-t2i "an astronaut" -m ~/models/PixArt-XL-2-512x512 -W 512 -H 384
          sparsedit-t2i --class "golden retriever" -m ~/models/DiT-XL-2-256 -s 50
          sparsedit-t2i --prompts-file captions.txt -o drawn/ --json > report.json
          sparsedit-t2i "a cat" -o - | feh -

        Exit codes: 0 drawn, 64 wrong option, 65 wrong content of a model or prompts file, \
        66 missing input, 70 internal error, 71 not enough memory or threads, 73 output cannot be \
        written, 130 interrupted (by SIGINT, SIGTERM, SIGHUP or SIGQUIT). \
        A picture that is interrupted or cannot be written leaves no file behind.
        """,
      subcommands: subcommands)
  }

  @OptionGroup var options: Options
}

/// The program with its subcommands, as help, manual and completion scripts tell of it.
///
/// Nothing is drawn or imported through it: beside a prompt, which may be any word, a subcommand is
/// one only in the first place.
struct WholeCommand: ParsableCommand {
  static let configuration = Command.configuration(subcommands: [ImportCommand.self])

  @OptionGroup var options: Options
}
