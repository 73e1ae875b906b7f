import Tensors

/// A request with every default filled in and every value checked: what is going to be done.
package struct GenerationJob: Sendable {
  package let request: GenerationRequest
  package let sides: PictureSides
  /// Of the latents.
  package let latentHeight: Int
  package let latentWidth: Int
  package let condition: JobCondition
  package let sampler: any Sampler
  package let sampling: SamplingPlan
  /// The block plan of each step.
  package let plans: [BackbonePlan]
  /// Whether each step is one forward of a batch of two: without and with the prompt or class.
  package let isGuided: Bool
  /// Pictures that a stochastic sampler draws noise for, of which the first is used. diffusers'
  /// DiTPipeline, like DiT's authors, samples both halves of a guided batch.
  let noiseBatch: Int
  /// Whether a checkpoint trained dense is to run sparse.
  let runsUntrainedSparse: Bool

  /// - Throws: `invalidArgument` naming the first value that is out of range.
  package init(
    _ request: GenerationRequest, model: LoadedModel, info: ModelInfo
  ) throws(SparseDiTError) {
    try Self.check(request)
    self.request = request
    sides = try PictureSides(
      request, side: info.defaultWidth, multiple: info.sizeMultiple, defaults: model.defaults)
    latentHeight = sides.drawnHeight / info.latentScale
    latentWidth = sides.drawnWidth / info.latentScale
    sampler = try model.sampler(request.sampler, eta: request.eta)
    sampling = try sampler.plan(steps: request.steps)
    isGuided = request.guidanceScale > 1
    condition = try JobCondition(
      request, model.conditioning, isGuided: isGuided, defaults: model.defaults)
    noiseBatch = model.family == .dit ? condition.batch : 1

    let backbone = model.backbone
    let grid = try backbone.grid(latentHeight: latentHeight, latentWidth: latentWidth)
    let planner = try BackbonePlanner(
      request.sparsity, tokenSchedule: request.tokenSchedule, config: backbone.config,
      timesteps: model.trainTimesteps)
    plans = try sampling.timesteps.map { timestep throws(SparseDiTError) in
      try planner.plan(for: grid, at: timestep)
    }
    runsUntrainedSparse = planner.layout.isSparse && backbone.config.sparsity == nil
  }

  static func check(_ request: GenerationRequest) throws(SparseDiTError) {
    try Caption.check(request.prompt, name: "prompt")
    try Caption.check(request.negativePrompt, name: "negative prompt")
    guard request.guidanceScale.isFinite else {
      throw .invalidArgument("guidance scale \(request.guidanceScale) is not a finite number")
    }
    guard request.guidanceScale <= GenerationRequest.maxGuidanceScale else {
      throw .invalidArgument(
        "guidance scale \(request.guidanceScale) is above \(GenerationRequest.maxGuidanceScale)")
    }
    guard (1...GenerationRequest.maxCount).contains(request.count) else {
      throw .invalidArgument(
        "count \(request.count) is not in 1 to \(GenerationRequest.maxCount)")
    }
  }
}
