import ArgumentParser
import SparseDiT

/// The command line's options. Ranges that depend on the model are checked by the engine.
struct Options: ParsableArguments {
  @Argument(
    help: "What to draw. With an empty prompt (\"\") the model draws anything.")
  var prompt: String?

  @Option(
    name: .customLong("class"), parsing: .unconditional,
    help: ArgumentHelp(
      "Class to draw, for a model that draws classes instead of prompts: its number, or its name"
        + " if the model's folder lists names.",
      valueName: "class"))
  var imageClass: String?

  @Option(
    name: .both("o"),
    help: ArgumentHelp(
      "JPEG file to write, a folder, or - for standard output.",
      discussion: """
        Without it: image.jpg in the current folder, or image-2.jpg and so on if that exists. \
        A file that is named is replaced. A symbolic link stays, and what it leads to is \
        replaced or made. A path that ends in / is a folder, which is made if it is missing. \
        Several pictures are numbered: name-0001.jpg.
        """,
      valueName: "path"))
  var output: String?

  @Option(
    name: .both("m"),
    help: ArgumentHelp(
      "Folder of a diffusers pipeline. Without it: the model inside this program.",
      valueName: "folder"))
  var model: String?

  @Option(
    name: .both("n"), parsing: .unconditional,
    help: ArgumentHelp("What to steer away from.", valueName: "text"))
  var negativePrompt = ""

  @Option(
    name: .both("W"), parsing: .unconditional,
    help: ArgumentHelp("Width in pixels. Without it: the model's.", valueName: "pixels"),
    transform: integer)
  var width: Int?

  @Option(
    name: .both("H"), parsing: .unconditional,
    help: ArgumentHelp("Height in pixels. Without it: the model's.", valueName: "pixels"),
    transform: integer)
  var height: Int?

  @Flag(
    help: ArgumentHelp(
      "Draw at exactly the size that is asked for.",
      discussion: """
        Without it, a PixArt model of a folder whose sample_size is 32, 64, 128 or 256 draws at the \
        size of its training with the nearest ratio, and the picture is resized and cropped, as \
        diffusers does.
        """))
  var exactSize = false

  @Flag(
    help: ArgumentHelp(
      "Do not clean prompts; only make their letters lower case.",
      discussion: """
        Without it, prompts for a PixArt model of a folder are cleaned as diffusers does: HTML, \
        addresses, some punctuation and broken characters go.
        """))
  var noCleanCaption = false

  @Option(
    name: .both("s"), parsing: .unconditional,
    help: "Denoising steps (default: 20, or as many as the model has).",
    transform: integer)
  var steps: Int?

  @Option(
    name: .both("g"), parsing: .unconditional,
    help: ArgumentHelp(
      "How closely to follow the prompt. 1 or less: not at all, and twice as fast (default: 4.5).",
      valueName: "scale"), transform: number)
  var guidanceScale = 4.5

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "0 to 18446744073709551615. Without it: random; it is printed.", valueName: "number"),
    transform: seedNumber)
  var seed: UInt64?

  @Option(
    name: .both("c"), parsing: .unconditional,
    help: "Pictures per prompt (default: 1). The second has seed + 1, and so on.",
    transform: integer)
  var count = 1

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Share of tokens to leave out at the end and at the start of denoising, such as 0.61,0.86.",
      discussion: """
        Or a row of SparseDiT's paper, named by backbone, size and percentage of computation saved: \
        \(TokenRateOption.presets).
        """,
      valueName: "min,max"), transform: TokenRateOption.init)
  var rates: TokenRateOption?

  @Option(
    help: ArgumentHelp(
      "How the rates change over the timesteps. Without it: as the model's folder says, or linear.",
      discussion: """
        linear, quarters (four steps), constant (the mean), or a JSON file in place of --rates. A row \
        of the file is a timestep and a rate, or a timestep and the grid's height and width: \
        {"table": [[0, 0.44], [250, 0.61], [500, 10, 6]]}.
        """,
      valueName: "kind"))
  var tokenSchedule: String?

  @Flag(help: "Keep every token.")
  var dense = false

  @Option(
    help: ArgumentHelp(
      "ddpm, ddim, dpm++2m or euler. Without it: as the model's folder says.", valueName: "name"),
    transform: samplerName)
  var sampler: SamplerKind?

  @Option(
    parsing: .unconditional,
    help: "Share of the noise that the ddim sampler draws anew in each step, 0 to 1 (default: 0).",
    transform: number)
  var eta = 0.0

  @Option(
    help: ArgumentHelp(
      "f32 or bf16. Without it: bf16 if the CPU has instructions for it.", valueName: "type"),
    transform: precisionName)
  var precision: Precision?

  @Option(
    name: .both("j"), parsing: .unconditional,
    help: ArgumentHelp("Threads to compute with. Without it: one per CPU.", valueName: "count"),
    transform: integer)
  var threads: Int?

  @Option(
    name: .both("q"), parsing: .unconditional, help: "JPEG quality, 1 to 100 (default: 92).",
    transform: integer)
  var quality = RGBImage.usualQuality

  @Option(
    help: ArgumentHelp(
      "Text file with one prompt per line, or - for standard input.",
      discussion: """
        Empty lines are skipped. There are no comments: a line that begins with # is a prompt.
        """,
      valueName: "file"))
  var promptsFile: String?

  @OptionGroup(title: "Costs") var cost: CostOptions

  @Flag(help: "Report on standard output as JSON: files, seeds, stage times, tokens per step.")
  var json = false

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  @Flag(help: "List the words that the model was trained on, without drawing.")
  var words = false

  @Flag(help: "Show the version.")
  var version = false

  mutating func validate() throws {
    if version { return }
    if words { return try checkWords() }
    try checkCost()
    try checkSubject()
    if dense && rates != nil { throw ValidationError("--rates and --dense exclude each other") }
    if dense && tokenSchedule != nil {
      throw ValidationError("--token-schedule and --dense exclude each other")
    }
    if rates != nil, tokenSchedule != nil, tokenScheduleKind == nil {
      throw ValidationError("--rates and a --token-schedule from a file exclude each other")
    }
    if json && output == "-" {
      throw ValidationError("--json and --output - would both write to standard output")
    }
    try check("--count", count, in: 1...GenerationRequest.maxCount)
    try check("--quality", quality, in: RGBImage.qualities)
    if let threads { try check("--threads", threads, in: PipelineOptions.threadCounts) }
    if output == "-" && (count > 1 || promptsFile != nil) {
      throw ValidationError("--output - takes one picture, not several")
    }
  }

  /// Nothing is drawn with `--words`, so an option that says what to draw is a mistake.
  private func checkWords() throws {
    try exclude(
      "--words",
      [
        ("a prompt", prompt != nil), ("--prompts-file", promptsFile != nil),
        ("--class", imageClass != nil), ("--output", output != nil), ("--cost", cost.isAsked),
      ])
  }

  /// One of prompt, file of prompts and class says what to draw.
  private func checkSubject() throws {
    let given = [
      ("a prompt", prompt), ("--prompts-file", promptsFile), ("--class", imageClass),
    ].compactMap { name, value in value.map { _ in name } }
    if given.isEmpty && !cost.isAsked {
      throw ValidationError("a prompt, --prompts-file or --class is needed (see --help)")
    }
    if given.count > 1 {
      throw ValidationError("\(given[0]) and \(given[1]) exclude each other")
    }
  }

  private func check(_ option: String, _ value: Int, in range: ClosedRange<Int>) throws {
    guard range.contains(value) else {
      throw ValidationError(
        "\(option) \(value) is not in \(range.lowerBound) to \(range.upperBound)")
    }
  }

  /// nil where `--token-schedule` is missing, or names a file.
  var tokenScheduleKind: TokenScheduleKind? {
    tokenSchedule.flatMap(TokenScheduleKind.init)
  }

  /// - Throws: what reading the table of `--token-schedule` throws.
  func sparsity() throws(SparseDiTError) -> SparsityChoice {
    if dense { return .dense }
    if let tokenSchedule, tokenScheduleKind == nil {
      guard tokenSchedule.hasSuffix(".json") else {
        throw .invalidArgument(
          "--token-schedule \(tokenSchedule): linear, quarters, constant or a .json file is needed")
      }
      return .table(try TokenTable(contentsOf: tokenSchedule))
    }
    return rates.map { .rates(min: $0.min, max: $0.max) } ?? .model
  }
}

extension Options {
  /// The folder of `--model`, or the model inside.
  func modelFolder() throws(SparseDiTError) -> ModelFolder {
    if let model { try ModelFolder(directory: model) } else { try ModelFolder.builtIn() }
  }

  /// The class that `--class` gives by number or name; nil without it.
  ///
  /// - Parameter named: finds the label of a name.
  func classLabel(
    _ named: (String) throws(SparseDiTError) -> Int
  ) throws(SparseDiTError) -> Int? {
    guard let imageClass else { return nil }
    if let label = Int(imageClass) { return label }
    return try named(imageClass)
  }

  /// - Parameter trainTimesteps: T of the model.
  /// - Throws: `invalidData` for a table of `--token-schedule` that goes beyond it.
  func check(_ sparsity: SparsityChoice, trainTimesteps: Int) throws(SparseDiTError) {
    guard let tokenSchedule, case .table(let table) = sparsity else { return }
    try table.check(trainTimesteps: trainTimesteps, file: tokenSchedule)
  }
}

/// `MIN,MAX`, each at least 0 and below 1, or the name of a row of the paper.
struct TokenRateOption {
  let min: Double
  let max: Double

  static var presets: String { TokenRates.paper.map(\.name).joined(separator: ", ") }

  @Sendable init(_ text: String) throws {
    if let row = TokenRates.paper.first(where: { $0.name == text }) {
      (min, max) = (row.min, row.max)
      return
    }
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
    guard parts.count == 2, let min = parts[0], let max = parts[1] else {
      throw ValidationError("two numbers with a comma between are needed, such as 0.61,0.86")
    }
    guard (0..<1).contains(min), (0..<1).contains(max), min <= max else {
      throw ValidationError("0 ≤ min ≤ max < 1 is needed")
    }
    (self.min, self.max) = (min, max)
  }
}

@Sendable func integer(_ text: String) throws -> Int {
  guard let value = Int(text) else { throw ValidationError("an integer is needed") }
  return value
}

@Sendable private func number(_ text: String) throws -> Double {
  guard let value = Double(text), value.isFinite else {
    throw ValidationError("a finite number is needed")
  }
  return value
}

@Sendable private func seedNumber(_ text: String) throws -> UInt64 {
  guard let value = UInt64(text) else {
    throw ValidationError("an integer from 0 to \(UInt64.max) is needed")
  }
  return value
}

@Sendable private func samplerName(_ text: String) throws -> SamplerKind {
  guard let value = SamplerKind(rawValue: text) else {
    let names = SamplerKind.allCases.map(\.rawValue).joined(separator: ", ")
    throw ValidationError("one of \(names) is needed")
  }
  return value
}

@Sendable private func precisionName(_ text: String) throws -> Precision {
  guard let value = Precision(rawValue: text) else {
    throw ValidationError("f32 or bf16 is needed")
  }
  return value
}

extension NameSpecification {
  /// The long name, and a letter whose value may follow at once: `--steps 4`, `-s 4`, `-s4`.
  fileprivate static func both(_ letter: Character) -> NameSpecification {
    [.customShort(letter, allowingJoined: true), .long]
  }
}
