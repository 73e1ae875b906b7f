import Tensors

/// One job under way: its stages, in the order in which ``Pipeline/generate(_:control:)`` calls
/// them, on the compute thread.
final class GenerationRun {
  private let job: GenerationJob
  private let model: LoadedModel
  private let compute: Compute
  private let control: RunControl
  private let thread: ComputeThread
  private let preview: (Compute) throws(SparseDiTError) -> LatentPreview
  private let begin = Machine.seconds
  private var seconds = StageSeconds()
  private var stepsDone = 0
  private var imagesDone = 0
  /// `seconds` when the last picture was finished.
  private var secondsBefore = StageSeconds()
  private var images: [RGBImage] = []

  init(
    _ job: GenerationJob, _ model: LoadedModel, _ compute: Compute, _ control: RunControl,
    _ thread: ComputeThread, loadSeconds: Double,
    preview: @escaping (Compute) throws(SparseDiTError) -> LatentPreview
  ) {
    self.job = job
    self.model = model
    self.compute = compute
    self.control = control
    self.thread = thread
    self.preview = preview
    seconds.load = loadSeconds
  }

  /// What the backbone is to be told in every step.
  func condition() throws(SparseDiTError) -> BackboneCondition {
    switch job.condition {
    case .labels(let labels): return .labels(labels)
    case .prompts(let prompts, let text):
      let size = PictureSize(
        height: Double(job.sides.drawnHeight), width: Double(job.sides.drawnWidth))
      return .text(try encode(prompts, text), sizes: [size])
    }
  }

  /// The prompts as the blocks read them.
  private func encode(
    _ prompts: [String], _ text: TextConditioning
  ) throws(SparseDiTError) -> PreparedText {
    try timed(\.text) { () throws(SparseDiTError) in
      let tokens = try prompts.map { prompt throws(SparseDiTError) in
        try text.tokenize(prompt)
      }
      // Nothing reads the padding: encode up to the longest prompt only.
      let length = tokens.map { $0.mask.count { $0 != 0 } }.max() ?? 1
      let mask = tokens.flatMap { $0.mask.prefix(length) }
      let features = try text.encoder.encode(  // [B, L, C]
        ids: tokens.flatMap { $0.ids.prefix(length) }, mask: mask, batch: tokens.count,
        length: length, on: compute, checkCancelled: control.checkCancelled)
      try text.encoder.weights.checkFinite(features, "text encoder", on: compute)
      return try model.backbone.prepareText(features, mask: mask.map(Float.init), on: compute)
    }
  }

  /// The latents that image `image` starts from, f32 `[1, C, h, w]`: equal to `torch.randn` with a
  /// CPU generator of its seed, times the sampler's noise scale. And that generator, from which a
  /// stochastic sampler goes on drawing.
  func noise(image: Int) throws(SparseDiTError) -> (latents: Tensor, generator: TorchGenerator) {
    let latents = try compute.empty(
      [1, model.backbone.config.inChannels, job.latentHeight, job.latentWidth], .f32)
    var generator = TorchGenerator(seed: seed(of: image))
    generator.fill(latents.f32)
    return (try compute.scaled(latents, by: job.sampling.initialNoiseScale), generator)
  }

  /// Takes the latents through all steps.
  func denoise(
    _ latents: Tensor, _ generator: TorchGenerator, _ condition: BackboneCondition, image: Int
  ) throws(SparseDiTError) {
    var sampler = job.sampler.start(
      job.sampling, noise: StepNoise(generator, batch: job.noiseBatch))
    var modulations: ArraySlice<ForwardModulation> = []
    for (step, plan) in job.plans.enumerated() {
      try timed(\.denoise) { () throws(SparseDiTError) in
        if modulations.isEmpty {
          modulations = try ArraySlice(
            model.backbone.modulations(
              at: Array(job.sampling.timesteps.dropFirst(step).prefix(StageCosts.stepsAtOnce)),
              condition, on: compute))
        }
        let input = try compute.empty(latents.shape, .f32)
        sampler.scaleModelInput(UnsafeBufferPointer(latents.f32), into: input.f32)
        let prediction = try predict(input, modulations.removeFirst(), plan, condition)
        try sampler.step(modelOutput: UnsafeBufferPointer(prediction.f32), sample: latents.f32)
      }
      stepsDone += 1
      try report(image: image, step: step + 1, plan, sampler)
    }
  }

  /// One guided prediction, f32 `[1, C, h, w]`; for a sampler that uses it, the variance behind it,
  /// which is the prompt's or class's without guidance: `[1, 2C, h, w]`.
  private func predict(
    _ latents: Tensor, _ modulation: ForwardModulation, _ plan: BackbonePlan,
    _ condition: BackboneCondition
  ) throws(SparseDiTError) -> Tensor {
    let output = try model.backbone.forward(  // [B, Cout, h, w]
      latents, modulation, condition, plan: plan, on: compute,
      checkCancelled: control.checkCancelled)
    try model.backbone.weights.checkFinite(output, "transformer", on: compute)
    // The prediction lies before the variance in each half of the batch.
    let half = output.shape.count / output.shape[0]
    let predicted = output.f32
    let usesVariance = job.sampler.usesLearnedVariance
    let prediction = try compute.empty(
      usesVariance ? [1, output.shape[1], latents.shape[2], latents.shape[3]] : latents.shape, .f32)
    let values = prediction.f32
    let scale = Float(job.request.guidanceScale)
    let channels = job.isGuided ? model.backbone.config.guidedChannels : 0
    let guided = channels * latents.shape[2] * latents.shape[3]
    for index in 0..<guided {
      let first = predicted[index]
      values[index] = first + scale * (predicted[half + index] - first)
    }
    let wanted = job.isGuided ? half : 0
    for index in guided..<values.count { values[index] = predicted[wanted + index] }
    return prediction
  }

  /// Turns finished latents into a picture of the result.
  func decode(_ latents: Tensor) throws(SparseDiTError) {
    let image = try timed(\.decode) { () throws(SparseDiTError) in
      let pixels = try model.autoencoder.decode(  // [1, 3, H, W]
        latents, on: compute, checkCancelled: control.checkCancelled)
      try model.autoencoder.weights.checkFinite(pixels, "autoencoder", on: compute)
      return try RGBImage(
        decoded: compute.resizedAndCropped(
          pixels, height: job.sides.height, width: job.sides.width), index: 0)
    }
    let index = imagesDone
    imagesDone += 1
    if job.request.keepsImages { images.append(image) }
    guard let onImage = control.onImage else { return }
    seconds.total = Machine.seconds - begin
    let alone = GenerationResult(
      images: [image], seeds: [seed(of: index)], report: report(seconds.since(secondsBefore)))
    secondsBefore = seconds
    var goesOn = true
    thread.callBack { goesOn = onImage(alone, index) }
    guard goesOn else { throw .cancelled }
  }

  func result() -> GenerationResult {
    seconds.total = Machine.seconds - begin
    return GenerationResult(
      images: images, seeds: (0..<imagesDone).map(seed(of:)), report: report(seconds))
  }

  private func report(_ seconds: StageSeconds) -> GenerationReport {
    GenerationReport(
      request: job.request, width: job.sides.width, height: job.sides.height,
      drawnWidth: job.sides.drawnWidth, drawnHeight: job.sides.drawnHeight,
      cleansCaptions: model.defaults.cleansCaptions && job.request.cleansCaptions,
      model: model.name,
      className: className, sampler: job.sampler.name, precision: compute.precision,
      seconds: seconds, timesteps: job.sampling.timesteps, tokens: job.plans.map(\.sparse.count),
      denseTokens: job.plans.first?.dense.count ?? 0, peakBytes: compute.heldPeakBytes)
  }

  /// Nil where no class is drawn, or it has no name.
  private var className: String? {
    guard let label = job.request.classLabel else { return nil }
    return model.conditioning.classes?.names[label]?.joined(separator: ", ")
  }

  private func seed(of image: Int) -> UInt64 { job.request.seed &+ UInt64(image) }

  private func timed<R>(
    _ stage: WritableKeyPath<StageSeconds, Double>, _ body: () throws(SparseDiTError) -> R
  ) throws(SparseDiTError) -> R {
    let start = Machine.seconds
    let result = try body()
    seconds[keyPath: stage] += Machine.seconds - start
    return result
  }

  /// Tells the caller, on its own thread, where the request stands.
  private func report(
    image: Int, step: Int, _ plan: BackbonePlan, _ sampler: any SamplingRun
  ) throws(SparseDiTError) {
    let count = job.request.count
    let left = Double(count * job.plans.count - stepsDone)
    // Unknown before the first picture is decoded, then as long as the pictures so far.
    let decoding = imagesDone == 0 ? 0 : seconds.decode / Double(imagesDone)
    let progress = StepProgress(
      image: image, images: count, step: step, steps: job.plans.count,
      tokens: plan.sparse.count, denseTokens: plan.dense.count, seconds: Machine.seconds - begin,
      secondsLeft: seconds.denoise / Double(stepsDone) * left + decoding * Double(count - image))
    var goesOn = true
    if let onStep = control.onStep { thread.callBack { goesOn = onStep(progress) } }
    guard goesOn else { throw .cancelled }
    guard let onPreview = control.onPreview else { return }
    let picture = try preview(compute).image(
      of: sampler.denoised, height: job.latentHeight, width: job.latentWidth)
    thread.callBack { onPreview(picture, progress) }
  }
}

extension RunControl {
  func checkCancelled() throws(SparseDiTError) {
    if isCancelled { throw .cancelled }
  }
}

extension NamedWeights {
  /// - Throws: `invalidData` when `output` is not finite, naming the first weight that is not, or
  ///   else the stage.
  func checkFinite(
    _ output: Tensor, _ stage: String, on compute: Compute
  ) throws(SparseDiTError) {
    guard !compute.isFinite(output) else { return }
    if let weight = firstNonFinite() {
      throw .invalidData("\(weight) has NaN or infinite values")
    }
    throw .invalidData(
      "the \(stage) gave NaN or infinite values: its weights are finite, but sums of them overflow")
  }
}
