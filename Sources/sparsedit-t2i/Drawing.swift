import Glibc
import SparseDiT
import Tensors

/// One run of the program: checks everything, loads the model, then draws and writes picture by
/// picture.
struct Drawing {
  private let options: Options
  private let interruption: Interruption
  private let prompts: [Prompt]
  private let names: OutputNames
  private let progress: ProgressBar
  private let sparsity: SparsityChoice

  /// - Throws: every mistake that can be found without the model.
  init(options: Options, interruption: Interruption) throws(SparseDiTError) {
    self.options = options
    self.interruption = interruption
    if let file = options.promptsFile {
      prompts = try Prompts.read(file)
    } else {
      prompts = [Prompt(text: options.prompt ?? "", name: "prompt")]
    }
    names = try OutputNames(
      output: options.output, prompts: options.promptsFile == nil ? nil : prompts.count,
      count: options.count)
    progress = ProgressBar(isQuiet: options.quiet)
    sparsity = try options.sparsity()
  }

  func run() throws(SparseDiTError) {
    let pipeline = try load()
    let classLabel = try classLabel(pipeline)
    let seeds = prompts.map { _ in options.seed ?? UInt64.random(in: 0...UInt64(UInt32.max)) }
    for (prompt, seed) in zip(prompts, seeds) {
      try naming(prompt) { () throws(SparseDiTError) in
        try pipeline.check(request(prompt, classLabel, seed: seed))
      }
    }
    var report = Report(version: Program.version, threads: pipeline.info.threads)
    for (index, prompt) in prompts.enumerated() {
      for picture in 0..<options.count {
        let seed = seeds[index] &+ UInt64(picture)
        let number = index * options.count + picture + 1
        let result = try draw(
          request(prompt, classLabel, seed: seed), with: pipeline, number: number)
        let path = names.paths?[index][picture]
        try write(result, to: path)
        report.add(result, file: path ?? "-")
        try announce(result, path: path)
      }
    }
    if options.json { try writeOutput(report.json + "\n") }
  }

  // MARK: Steps

  private func load() throws(SparseDiTError) -> Pipeline {
    let folder: ModelFolder
    if let directory = options.model {
      folder = try ModelFolder(directory: directory)
    } else {
      folder = try ModelFolder.builtIn()
    }
    progress.show("loading \(folder.name) …")
    defer { progress.clear() }
    let isQuiet = options.quiet
    return try Pipeline(
      model: folder,
      options: PipelineOptions(
        precision: options.precision, threads: options.threads,
        log: { line in
          guard !isQuiet else { return }
          ProgressBar.clearLine()
          writeError("\(Program.name): \(line)\n")
        }))
  }

  /// The class that `--class` gives by number or name.
  private func classLabel(_ pipeline: Pipeline) throws(SparseDiTError) -> Int? {
    guard let given = options.imageClass else { return nil }
    if let label = Int(given) { return label }
    return try pipeline.classLabel(named: given)
  }

  private func request(_ prompt: Prompt, _ classLabel: Int?, seed: UInt64) -> GenerationRequest {
    GenerationRequest(
      prompt: prompt.text, negativePrompt: options.negativePrompt, classLabel: classLabel,
      width: options.width, height: options.height, steps: options.steps,
      guidanceScale: options.guidanceScale, seed: seed, count: 1, sparsity: sparsity,
      schedule: options.scheduleKind, sampler: options.sampler, eta: options.eta)
  }

  private func draw(
    _ request: GenerationRequest, with pipeline: Pipeline, number: Int
  ) throws(SparseDiTError) -> GenerationResult {
    let (progress, total) = (progress, prompts.count * options.count)
    let control = RunControl(onStep: { step in
      progress.show(step, picture: number, of: total)
      return true
    })
    defer { progress.clear() }
    return try interruption.cancelling(control) { () throws(SparseDiTError) in
      try pipeline.generate(request, control: control)
    }
  }

  /// - Parameter path: nil is standard output.
  private func write(_ result: GenerationResult, to path: String?) throws(SparseDiTError) {
    let bytes = try result.images[0].jpeg(
      quality: options.quality, parameters: result.parameters(of: 0))
    guard let path else {
      return try AtomicFile.write(bytes, to: STDOUT_FILENO, name: "standard output")
    }
    try AtomicFile.write(bytes, to: path, onTemporary: interruption.setTemporary)
  }

  /// One line per picture: on standard output, or on standard error where that holds the picture.
  private func announce(_ result: GenerationResult, path: String?) throws(SparseDiTError) {
    guard !options.quiet, !options.json else { return }
    let report = result.report
    let hundredths = Int((report.seconds.total * 100).rounded())
    let seconds = "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
    let facts = "seed \(result.seeds[0]), \(report.width)×\(report.height), \(seconds) s\n"
    if let path { try writeOutput("\(path): \(facts)") } else { writeError(facts) }
  }

  /// Puts the prompt's place before an error about it.
  private func naming(
    _ prompt: Prompt, _ body: () throws(SparseDiTError) -> Void
  ) throws(SparseDiTError) {
    do {
      try body()
    } catch .invalidArgument(let message) where options.promptsFile != nil {
      throw .invalidArgument("\(prompt.name): \(message)")
    }
  }
}
