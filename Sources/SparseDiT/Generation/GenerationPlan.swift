import Tensors

/// A request with every default filled in and every value checked: what is going to be done in each
/// step, and what that takes. Made once; drawing, costs, memory and checks all read it.
package struct GenerationPlan: Sendable {
  /// With the table of what a function said in place of its sparsity.
  package let request: GenerationRequest
  package let model: ModelOutline
  /// Pixels.
  package let width: Int
  package let height: Int
  /// Of the latents.
  package let latentHeight: Int
  package let latentWidth: Int
  /// Dense tokens.
  package let grid: Grid
  package let guidance: Guidance
  /// The prompts or labels of the batch; nil in an estimate for a request that names neither.
  package let condition: Condition<[TokenizedPrompt], [Int]>?
  /// Nil for a model that is only known by name.
  package let sampling: (sampler: any Sampler, plan: SamplingPlan)?
  /// Training timestep of each step, from noise to data.
  package let timesteps: [Double]
  package let layout: BlockLayout
  /// Nil where nothing is pruned.
  package let pruning: TokenPruning?
  /// Which block sees which tokens, for each step.
  package let blockPlans: [BackbonePlan]
  /// Tokens of the longest prompt; as many as prompts are padded to where there is none.
  package let textTokens: Int
  package let format: NumberFormat
  /// Bytes of tensors at the worst moment, see ``PeakMemory``.
  package let peakBytes: Int

  /// - Parameters:
  ///   - request: with ``GenerationRequest/check()`` done.
  ///   - condition: from ``ModelOutline/condition(of:tokenizer:)``.
  ///   - density: asked in place of the request's sparsity, once for each whole timestep.
  /// - Throws: `invalidArgument` naming the first value that is out of range; what `density` throws.
  init(
    _ request: GenerationRequest, _ model: ModelOutline,
    _ condition: Condition<[TokenizedPrompt], [Int]>?, asking density: TokenDensity?,
    format: NumberFormat
  ) throws(SparseDiTError) {
    model.plans.add()
    self.model = model
    self.condition = condition
    self.format = format
    guidance = Guidance(scale: request.guidanceScale)
    textTokens = condition.map { $0.text?.map(\.length).max() ?? 0 } ?? model.promptTokens
    width = try model.side("width", request.width)
    height = try model.side("height", request.height)
    latentHeight = height / model.latentScale
    latentWidth = width / model.latentScale
    grid = Grid(height: height / model.sizeMultiple, width: width / model.sizeMultiple)
    if let sampler = try model.sampler(request.sampler, eta: request.eta) {
      let plan = try sampler.plan(steps: request.steps)
      sampling = (sampler, plan)
      timesteps = plan.timesteps
    } else {
      sampling = nil
      timesteps = try model.evenTimesteps(request.steps)
    }
    var request = request
    if let density {
      request.sparsity = .table(try TokenTable(asking: density, grid, at: timesteps))
    }
    self.request = request
    let planner = try BackbonePlanner(
      request.sparsity, tokenSchedule: request.tokenSchedule, config: model.backbone,
      timesteps: model.trainTimesteps)
    (layout, pruning) = (planner.layout, planner.pruning)
    blockPlans = try timesteps.map { [grid] t throws(SparseDiTError) in
      try planner.plan(for: grid, at: t)
    }
    let longest = Workload(
      plans: blockPlans, batch: guidance.batch, textTokens: model.promptTokens,
      latentHeight: latentHeight, latentWidth: latentWidth)
    peakBytes = PeakMemory(of: request, model, longest, format: format).bytes
  }

  /// What is drawn, as far as costs go.
  ///
  /// - Parameter plans: in place of those of this plan.
  package func workload(_ plans: [BackbonePlan]? = nil) -> Workload {
    Workload(
      plans: plans ?? blockPlans, batch: guidance.batch, textTokens: textTokens,
      latentHeight: latentHeight, latentWidth: latentWidth)
  }

  /// Whether a checkpoint trained dense is to run sparse.
  var runsUntrainedSparse: Bool { layout.isSparse && model.backbone.sparsity == nil }

  /// Pictures that a stochastic sampler draws noise for, of which the first is used. diffusers'
  /// DiTPipeline, like DiT's authors, samples both halves of a guided batch.
  var noiseBatch: Int { model.family == .dit ? guidance.batch : 1 }
}

extension LoadedModel {
  /// Plans a request that is to be drawn: with its prompt or class.
  ///
  /// - Throws: as ``GenerationPlan``.
  func plan(
    _ request: GenerationRequest, asking density: TokenDensity?, format: NumberFormat
  ) throws(SparseDiTError) -> GenerationPlan {
    try request.check()
    let condition = try outline.condition(of: request) { () throws(SparseDiTError) in
      self.condition.text?.tokenizer
    }
    return try GenerationPlan(request, outline, condition, asking: density, format: format)
  }
}

extension ModelOutline {
  /// Plans a request that is not to be drawn: it may do without prompts and class, which then count as
  /// the longest that there can be.
  ///
  /// - Throws: as ``GenerationPlan``; `invalidArgument` for a prompt where the model has no tokenizer.
  package func plan(
    _ request: GenerationRequest, asking density: TokenDensity? = nil, format: NumberFormat
  ) throws(SparseDiTError) -> GenerationPlan {
    try request.check()
    let isOpen = request.classLabel == nil && (request.prompt + request.negativePrompt).isEmpty
    let condition = isOpen ? nil : try condition(of: request, tokenizer: readTokenizer)
    return try GenerationPlan(request, self, condition, asking: density, format: format)
  }

  /// What each picture of a request's batch is drawn by.
  ///
  /// - Parameter tokenizer: of a model that draws from text.
  /// - Throws: `invalidArgument` for what belongs to another kind of model, and for a class that is
  ///   missing or that the model does not have.
  fileprivate func condition(
    of request: GenerationRequest, tokenizer: () throws(SparseDiTError) -> Tokenizer?
  ) throws(SparseDiTError) -> Condition<[TokenizedPrompt], [Int]> {
    let kind = condition.kind
    if let label = request.classLabel { try kind.require(.classes, of: "class \(label)") }
    for (name, text) in [("prompt", request.prompt), ("negative prompt", request.negativePrompt)]
    where !text.isEmpty { try kind.require(.text, of: name) }
    let guidance = Guidance(scale: request.guidanceScale)
    if let classes = condition.classes {
      let label = try classes.checked(request.classLabel)
      return .classes(guidance.conditions(unconditional: classes.count, conditional: label))
    }
    guard let tokenizer = try tokenizer() else {
      throw .invalidArgument("\(name) has no tokenizer to count a prompt's tokens with")
    }
    let prompts = guidance.conditions(
      unconditional: request.negativePrompt, conditional: request.prompt)
    return .text(
      try prompts.map { prompt throws(SparseDiTError) in
        try tokenizer.read(prompt, maxLength: promptTokens)
      })
  }

  /// A side of the picture in pixels: the request's, or else the model's own.
  ///
  /// - Throws: `invalidArgument` for a wrong side of the request, `invalidData` for one of the model.
  fileprivate func side(_ name: String, _ requested: Int?) throws(SparseDiTError) -> Int {
    let side = requested ?? defaultSide
    guard let fault = fault(of: side) else { return side }
    throw requested == nil
      ? .invalidData("this model's own \(name) \(side) \(fault)")
      : .invalidArgument("\(name) \(side) \(fault)")
  }

  private func fault(of side: Int) -> String? {
    guard side > 0, side % sizeMultiple == 0 else {
      return "is not a positive multiple of \(sizeMultiple), as this model needs"
    }
    return side > RGBImage.maxSide ? "is above the limit of \(RGBImage.maxSide) pixels" : nil
  }

  /// The middle of each of equal parts of the training's timesteps, so that quarters of it weigh the
  /// same.
  fileprivate func evenTimesteps(_ steps: Int) throws(SparseDiTError) -> [Double] {
    guard (1...trainTimesteps).contains(steps) else {
      throw .invalidArgument("\(steps) steps are not in 1 to \(trainTimesteps)")
    }
    let part = Double(trainTimesteps) / Double(steps)
    return (0..<steps).reversed().map { (Double($0) + 0.5) * part }
  }
}
