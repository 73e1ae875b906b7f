import ArgumentParser
import SparseDiT

/// The options that ask what a picture would cost.
struct CostOptions: ParsableArguments {
  @Flag(
    name: .customLong("cost"),
    help: ArgumentHelp(
      "Print what a picture would cost, without drawing it.",
      discussion:
        "Counts multiply-accumulates, weights and memory by block, step and stage. Reads no weights."
    ))
  var isAsked = false

  @Option(
    help: ArgumentHelp(
      "With --cost: a backbone that is known by name, in place of a model folder.",
      discussion: "DiT-S, -B, -L or -XL with /2, /4 or /8, or PixArt-XL/2.", valueName: "name"))
  var backbone: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("With --cost: width and height together.", valueName: "pixels"),
    transform: integer)
  var size: Int?

  @Flag(help: "With --cost: the costs that SparseDiT's paper gives, counted again.")
  var paper = false
}

extension Options {
  /// - Throws: `ValidationError` naming the first option that does not go with another.
  func checkCost() throws {
    guard cost.isAsked else {
      let given = [
        ("--backbone", cost.backbone != nil), ("--size", cost.size != nil), ("--paper", cost.paper),
      ]
      if let (name, _) = given.first(where: \.1) { throw ValidationError("\(name) needs --cost") }
      return
    }
    try exclude("--cost", [("--prompts-file", promptsFile != nil), ("--output", output != nil)])
    if cost.backbone != nil {
      try exclude("--backbone", [("--model", model != nil), ("a prompt", prompt != nil)])
    }
    if cost.size != nil {
      try exclude("--size", [("--width", width != nil), ("--height", height != nil)])
    }
    if cost.paper {
      try exclude(
        "--paper",
        [
          ("--backbone", cost.backbone != nil), ("--size", cost.size != nil),
          ("--model", model != nil), ("--width", width != nil), ("--height", height != nil),
          ("--rates", rates != nil), ("--token-schedule", tokenSchedule != nil), ("--dense", dense),
          ("a prompt", prompt != nil),
        ])
    }
  }

  func exclude(_ option: String, _ others: [(name: String, isGiven: Bool)]) throws {
    guard let other = others.first(where: \.isGiven) else { return }
    throw ValidationError("\(option) and \(other.name) exclude each other")
  }
}
