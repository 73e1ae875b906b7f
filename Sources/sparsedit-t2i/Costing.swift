import SparseDiT

/// A run of the program with `--cost`: reads configurations only, and prints.
struct Costing {
  private let options: Options
  private let sparsity: SparsityChoice

  init(options: Options) throws(SparseDiTError) {
    self.options = options
    sparsity = try options.sparsity()
  }

  func run() throws(SparseDiTError) {
    if options.cost.paper {
      let comparison = try PaperComparison(format: format)
      return try writeOutput(options.json ? comparison.json + "\n" : comparison.text)
    }
    let model = try outline()
    try options.check(sparsity, trainTimesteps: model.trainTimesteps)
    let side = options.cost.size
    let steps = if let given = options.steps { given } else { try model.defaultSteps }
    let request = GenerationRequest(
      prompt: options.prompt ?? "", negativePrompt: options.negativePrompt,
      classLabel: try options.classLabel(model.classLabel(named:)),
      width: side ?? options.width, height: side ?? options.height, steps: steps,
      guidanceScale: options.guidanceScale, sparsity: sparsity,
      tokenSchedule: options.tokenScheduleKind,
      sampler: options.sampler, eta: options.eta, cleansCaptions: !options.noCleanCaption,
      keepsExactSize: options.exactSize)
    let breakdown = CostBreakdown(try model.plan(request, format: format))
    try writeOutput(options.json ? CostReport(breakdown).json + "\n" : CostText(breakdown).text)
  }

  private func outline() throws(SparseDiTError) -> ModelOutline {
    if let name = options.cost.backbone {
      return try ModelOutline(PublishedModel(named: name, isSparse: !options.dense))
    }
    if let directory = options.model {
      return try ModelOutline(ModelFolder(directory: directory))
    }
    return try ModelOutline(.builtIn())
  }

  /// What the engine would store numbers as on this machine.
  private var format: NumberFormat { NumberFormat(onThisMachine: options.precision) }
}
