import Tensors

/// A request with every default filled in and every value checked: what is going to be done.
package struct GenerationJob: Sendable {
  package let request: GenerationRequest
  /// Pixels.
  package let width: Int
  package let height: Int
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

  /// Longest side in pixels that libjpeg writes.
  static let maxSide = 65_500

  /// - Throws: `invalidArgument` naming the first value that is out of range.
  package init(
    _ request: GenerationRequest, model: LoadedModel, info: ModelInfo
  ) throws(SparseDiTError) {
    try Self.check(request)
    self.request = request
    width = try Self.side("width", request.width, info.defaultWidth, info.sizeMultiple)
    height = try Self.side("height", request.height, info.defaultHeight, info.sizeMultiple)
    latentHeight = height / info.latentScale
    latentWidth = width / info.latentScale
    sampler = try model.sampler(request.sampler, eta: request.eta)
    sampling = try sampler.plan(steps: request.steps)
    isGuided = request.guidanceScale > 1
    condition = try JobCondition(request, model.conditioning, isGuided: isGuided)
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

  /// A side of the picture: the request's, whose mistakes are the caller's, or else the model's.
  static func side(
    _ name: String, _ requested: Int?, _ fallback: Int, _ multiple: Int
  ) throws(SparseDiTError) -> Int {
    guard let requested else {
      if let fault = fault(of: fallback, multiple) {
        throw .invalidData("this model's own \(name) \(fallback) \(fault)")
      }
      return fallback
    }
    if let fault = fault(of: requested, multiple) {
      throw .invalidArgument("\(name) \(requested) \(fault)")
    }
    return requested
  }

  private static func fault(of side: Int, _ multiple: Int) -> String? {
    guard side > 0, side % multiple == 0 else {
      return "is not a positive multiple of \(multiple), as this model needs"
    }
    return side > maxSide ? "is above the limit of \(maxSide) pixels" : nil
  }
}
