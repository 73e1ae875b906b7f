import SparseDiT

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
    let classLabel = try options.classLabel(pipeline.classLabel(named:))
    try options.check(sparsity, trainTimesteps: pipeline.trainTimesteps)
    let seeds = prompts.map { _ in options.seed ?? UInt64.random(in: 0...UInt64(UInt32.max)) }
    func plan(_ index: Int) throws(SparseDiTError) -> GenerationPlan {
      try pipeline.plan(request(prompts[index], classLabel, seed: seeds[index], for: pipeline))
    }
    // Prompts differ in their text alone, which has been read: a plan of the first finds all mistakes.
    var next = try plan(0)
    let writer = PictureWriter(
      quality: options.quality, isSilent: options.quiet || options.json,
      newFolder: names.newFolder, interruption: interruption,
      report: Report(version: Program.version, threads: pipeline.info.threads))
    for index in prompts.indices {
      if index > 0 { next = try plan(index) }
      try draw(next, of: index, with: pipeline, to: writer)
    }
    if options.json { try writeOutput(writer.report.json + "\n") }
  }

  // MARK: Steps

  private func load() throws(SparseDiTError) -> Pipeline {
    let folder = try options.modelFolder()
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
          Program.say(line)
        }))
  }

  private func request(
    _ prompt: Prompt, _ classLabel: Int?, seed: UInt64, for pipeline: Pipeline
  ) -> GenerationRequest {
    GenerationRequest(
      prompt: prompt.text, negativePrompt: options.negativePrompt, classLabel: classLabel,
      width: options.width, height: options.height,
      steps: options.steps ?? pipeline.info.defaultSteps,
      guidanceScale: options.guidanceScale, seed: seed, count: options.count,
      sparsity: sparsity, tokenSchedule: options.tokenScheduleKind, sampler: options.sampler,
      eta: options.eta, cleansCaptions: !options.noCleanCaption,
      keepsExactSize: options.exactSize, keepsImages: false)
  }

  /// Draws all pictures of a prompt in one request, so that the prompt is encoded once.
  private func draw(
    _ plan: GenerationPlan, of prompt: Int, with pipeline: Pipeline, to writer: PictureWriter
  ) throws(SparseDiTError) {
    let paths = names.paths?[prompt]
    let (progress, total) = (progress, prompts.count * options.count)
    let before = prompt * options.count
    let control = RunControl(
      onStep: { step in
        progress.show(step, picture: before + step.image + 1, of: total)
        return true
      },
      onImage: { result, picture in
        progress.clear()
        return writer.add(result, path: paths?[picture])
      })
    defer { progress.clear() }
    do throws(SparseDiTError) {
      _ = try interruption.cancelling(control) { () throws(SparseDiTError) in
        try pipeline.generate(plan, control: control)
      }
    } catch {
      throw writer.failure ?? error
    }
  }
}
