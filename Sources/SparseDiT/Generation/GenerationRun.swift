import Tensors

/// One plan under way: its stages, in the order in which ``Pipeline/generate(_:asking:control:)`` calls
/// them, on the compute thread.
final class GenerationRun {
  private let plan: GenerationPlan
  private let request: GenerationRequest
  private let model: LoadedModel
  private let compute: Compute
  private let control: RunControl
  private let progress: RunProgress
  private let preview: (Compute) throws(SparseDiTError) -> LatentPreview
  private let sampler: any Sampler
  private let sampling: SamplingPlan
  private var images: [RGBImage] = []

  /// - Throws: `internalFailure` for a plan that is only an estimate.
  init(
    _ plan: GenerationPlan, _ model: LoadedModel, _ compute: Compute, _ control: RunControl,
    _ progress: RunProgress, preview: @escaping (Compute) throws(SparseDiTError) -> LatentPreview
  ) throws(SparseDiTError) {
    guard let (sampler, sampling) = plan.sampling else {
      throw .internalFailure("the plan of an estimate cannot be drawn")
    }
    self.plan = plan
    request = plan.request
    self.model = model
    self.compute = compute
    self.control = control
    self.progress = progress
    self.preview = preview
    self.sampler = sampler
    self.sampling = sampling
  }

  /// What the backbone is to be told in every step.
  func condition() throws(SparseDiTError) -> Condition<PreparedText, [Int]> {
    switch (plan.condition, model.condition) {
    case (.classes(let labels), .classes): return .classes(labels)
    case (.text(let prompts), .text(let encoder)):
      let size = PictureSize(
        height: Double(plan.sides.drawnHeight), width: Double(plan.sides.drawnWidth))
      return try progress.timed(\.text) { () throws(SparseDiTError) in
        let (features, mask) = try encoder.encode(
          prompts, on: compute, checkCancelled: control.cancellation.check)
        return .text(
          try model.backbone.prepareText(
            features, mask: mask.map(Float.init), sizes: [size], on: compute))
      }
    default: throw .internalFailure("the plan is of another model")
    }
  }

  /// The latents that image `image` starts from, f32 `[1, C, h, w]`: equal to `torch.randn` with a
  /// CPU generator of its seed, times the sampler's noise scale. And that generator, from which a
  /// stochastic sampler goes on drawing.
  func noise(image: Int) throws(SparseDiTError) -> (latents: Tensor, generator: TorchGenerator) {
    let latents = try compute.empty(
      [1, model.backbone.config.inChannels, plan.latentHeight, plan.latentWidth], .f32)
    var generator = TorchGenerator(seed: seed(of: image))
    generator.fill(latents.f32)
    return (try compute.scaled(latents, by: sampling.initialNoiseScale), generator)
  }

  /// Takes the latents through all steps.
  func denoise(
    _ latents: Tensor, _ generator: TorchGenerator, _ condition: Condition<PreparedText, [Int]>,
    image: Int
  ) throws(SparseDiTError) {
    var sampler = sampler.start(sampling, noise: StepNoise(generator, batch: plan.noiseBatch))
    var modulations: ArraySlice<ForwardModulation> = []
    for (step, blocks) in plan.blockPlans.enumerated() {
      try progress.timed(\.denoise) { () throws(SparseDiTError) in
        if modulations.isEmpty {
          modulations = try ArraySlice(
            model.backbone.modulations(
              at: Array(plan.timesteps.dropFirst(step).prefix(StageCosts.stepsAtOnce)),
              condition, on: compute))
        }
        let input = try compute.empty(latents.shape, .f32)
        sampler.scaleModelInput(UnsafeBufferPointer(latents.f32), into: input.f32)
        let prediction = try predict(input, modulations.removeFirst(), blocks, condition)
        try sampler.step(modelOutput: UnsafeBufferPointer(prediction.f32), sample: latents.f32)
      }
      try progress.finished(step: step + 1, image: image) { () throws(SparseDiTError) in
        try preview(compute).image(
          of: sampler.denoised, height: plan.latentHeight, width: plan.latentWidth)
      }
    }
  }

  /// One guided prediction, f32 `[1, C, h, w]`; for a sampler that uses it, the variance behind it,
  /// which is the prompt's or class's without guidance: `[1, 2C, h, w]`.
  private func predict(
    _ latents: Tensor, _ modulation: ForwardModulation, _ blocks: BackbonePlan,
    _ condition: Condition<PreparedText, [Int]>
  ) throws(SparseDiTError) -> Tensor {
    let backbone = model.backbone
    let output = try backbone.forward(  // [B, Cout, h, w]
      latents, modulation, condition, plan: blocks, on: compute,
      checkCancelled: control.cancellation.check)
    try backbone.weights.checkFinite(output, "transformer", on: compute)
    let (height, width) = (latents.shape[2], latents.shape[3])
    let prediction = try compute.empty(
      sampler.usesLearnedVariance ? [1, output.shape[1], height, width] : latents.shape, .f32)
    plan.guidance.combine(
      UnsafeBufferPointer(output.f32), guided: backbone.config.guidedChannels * height * width,
      into: prediction.f32)
    return prediction
  }

  /// Turns finished latents into a picture of the result.
  func decode(_ latents: Tensor, image: Int) throws(SparseDiTError) {
    let picture = try progress.timed(\.decode) { () throws(SparseDiTError) in
      let pixels = try model.autoencoder.decode(  // [1, 3, H, W]
        latents, on: compute, checkCancelled: control.cancellation.check)
      try model.autoencoder.weights.checkFinite(pixels, "autoencoder", on: compute)
      return try RGBImage(
        decoded: compute.resizedAndCropped(
          pixels, height: plan.sides.height, width: plan.sides.width), index: 0)
    }
    if request.keepsImages { images.append(picture) }
    try progress.finished(image: image) { seconds in
      GenerationResult(images: [picture], seeds: [seed(of: image)], report: report(seconds))
    }
  }

  func result() -> GenerationResult {
    GenerationResult(
      images: images, seeds: (0..<request.count).map(seed(of:)),
      report: report(progress.seconds()))
  }

  private func report(_ seconds: StageSeconds) -> GenerationReport {
    GenerationReport(
      request: request, width: plan.sides.width, height: plan.sides.height,
      drawnWidth: plan.sides.drawnWidth, drawnHeight: plan.sides.drawnHeight,
      cleansCaptions: plan.model.defaults.cleans(request), model: model.name,
      className: className, sampler: sampler.name, precision: compute.precision,
      seconds: seconds, timesteps: plan.timesteps, tokens: plan.blockPlans.map(\.sparse.count),
      denseTokens: plan.grid.count, peakBytes: compute.heldPeakBytes)
  }

  /// Nil where no class is drawn, or it has no name.
  private var className: String? {
    guard let label = request.classLabel else { return nil }
    return model.condition.classes?.names[label]?.joined(separator: ", ")
  }

  private func seed(of image: Int) -> UInt64 { request.seed &+ UInt64(image) }
}
