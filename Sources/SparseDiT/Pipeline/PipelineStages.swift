import Tensors

/// The stages of ``Pipeline/generate(_:control:)`` one by one, for hosts that run the denoising loop
/// themselves. Arrays are the caller's, row-major, and used during the call only.
///
/// Any thread, one call at a time per pipeline; each throws `busy` when another runs and `cancelled`
/// as `generate` does.
package struct PipelineStages: Sendable {
  let pipeline: Pipeline

  /// Tokens that a text may have: far above what any model of the family was trained for, low
  /// enough that the attention between them fits in memory.
  package static let textLengths = 1...1024

  /// - Parameter length: tokens to cut or pad to, in ``textLengths``.
  /// - Throws: `invalidArgument` for a model that draws no text.
  package func tokenize(
    _ prompt: String, length: Int, control: RunControl = RunControl()
  ) throws(SparseDiTError) -> TokenizedPrompt {
    try pipeline.exclusively(control) { (model, _) throws(SparseDiTError) in
      try text(of: model).tokenizer.encode(Caption.cleaned(prompt), maxLength: length)
    }
  }

  /// - Parameters:
  ///   - ids: `[batch, length]`.
  ///   - mask: as many, 1 for a token and 0 for padding.
  ///   - embedding: receives `[batch, length, textChannels]`.
  /// - Throws: `invalidArgument` for an id outside the vocabulary or another mask, and for a model
  ///   that draws no text.
  package func encodePrompt(
    ids: [Int32], mask: [Int32], batch: Int, into embedding: UnsafeMutableBufferPointer<Float>,
    control: RunControl = RunControl()
  ) throws(SparseDiTError) {
    try check(mask)
    try pipeline.exclusively(control) { (model, compute) throws(SparseDiTError) in
      let text = try text(of: model).encoder.encode(
        ids: ids, mask: mask, batch: batch, length: ids.count / batch, on: compute,
        checkCancelled: control.checkCancelled)
      _ = embedding.update(fromContentsOf: text.f32)
    }
  }

  /// Fills `latents` with the noise that `torch.randn` draws for that many elements.
  package func noise(
    seed: UInt64, into latents: UnsafeMutableBufferPointer<Float>,
    control: RunControl = RunControl()
  ) throws(SparseDiTError) {
    try pipeline.exclusively(control) { (_, _) throws(SparseDiTError) in
      var generator = TorchGenerator(seed: seed)
      generator.fill(latents)
    }
  }

  /// One forward of the backbone.
  ///
  /// - Parameter output: receives `[batch, outputChannels, height, width]`.
  package func denoise(
    _ input: DenoiseInput, into output: UnsafeMutableBufferPointer<Float>,
    control: RunControl = RunControl()
  ) throws(SparseDiTError) {
    try pipeline.exclusively(control) { (model, compute) throws(SparseDiTError) in
      let (backbone, size) = (model.backbone, input.size)
      let grid = try backbone.grid(latentHeight: size.height, latentWidth: size.width)
      let planner = try BackbonePlanner(
        input.sparsity, tokenSchedule: input.tokenSchedule, config: backbone.config,
        timesteps: model.trainTimesteps)
      let condition = try condition(of: input, model, compute)
      let latents = try compute.copy(
        input.latents, [size.batch, backbone.config.inChannels, size.height, size.width])
      let prediction = try backbone.forward(
        latents, timestep: input.timestep, condition,
        plan: try planner.plan(for: grid, at: input.timestep), on: compute,
        checkCancelled: control.checkCancelled)
      _ = output.update(fromContentsOf: prediction.f32)
    }
  }

  private func condition(
    of input: DenoiseInput, _ model: LoadedModel, _ compute: Compute
  ) throws(SparseDiTError) -> BackboneCondition {
    switch input.condition {
    case .labels(let labels): return .labels(labels)
    case .text(let embedding, let mask, let length):
      _ = try text(of: model)
      try check(mask)
      let features = try compute.copy(
        embedding, [input.size.batch, length, model.backbone.config.textChannels])
      let text = try model.backbone.prepareText(
        features, mask: mask.map(Float.init), on: compute)
      let scale = Double(model.autoencoder.scale)
      let size = PictureSize(
        height: Double(input.size.height) * scale, width: Double(input.size.width) * scale)
      return .text(text, sizes: [size])
    }
  }

  /// - Parameters:
  ///   - latents: `[batch, latentChannels, height, width]` as the sampler leaves them.
  ///   - pixels: receives `[batch, 3, height · latentScale, width · latentScale]`, about −1 … 1.
  package func decode(
    _ latents: UnsafeBufferPointer<Float>, _ size: LatentSize,
    into pixels: UnsafeMutableBufferPointer<Float>, control: RunControl = RunControl()
  ) throws(SparseDiTError) {
    try pipeline.exclusively(control) { (model, compute) throws(SparseDiTError) in
      let latents = try compute.copy(
        latents, [size.batch, model.autoencoder.latentChannels, size.height, size.width])
      let decoded = try model.autoencoder.decode(
        latents, on: compute, checkCancelled: control.checkCancelled)
      _ = pixels.update(fromContentsOf: decoded.f32)
    }
  }

  /// The model's sampler, or the one picked in its place, and its plan for so many steps.
  ///
  /// - Throws: `invalidArgument` for an η that makes no sense, and when the sampler's schedule cannot
  ///   be cut into so many steps.
  package func sampler(
    _ kind: SamplerKind? = nil, eta: Double = 0, steps: Int
  ) throws(SparseDiTError) -> (sampler: any Sampler, plan: SamplingPlan) {
    let sampler = try pipeline.model.sampler(kind, eta: eta)
    return (sampler, try sampler.plan(steps: steps))
  }

  private func text(of model: LoadedModel) throws(SparseDiTError) -> TextConditioning {
    guard let text = model.conditioning.text else {
      throw .invalidArgument("this model draws from a class, not from text")
    }
    return text
  }

  private func check(_ mask: [Int32]) throws(SparseDiTError) {
    if let value = mask.first(where: { $0 != 0 && $0 != 1 }) {
      throw .invalidArgument("the mask holds \(value); it must be 1 (a token) or 0 (padding)")
    }
  }
}

extension Pipeline {
  package var stages: PipelineStages { PipelineStages(pipeline: self) }
}

/// Sizes of a batch of latents.
package struct LatentSize: Sendable, Hashable {
  package let batch: Int
  package let height: Int
  package let width: Int

  package init(batch: Int, height: Int, width: Int) {
    self.batch = batch
    self.height = height
    self.width = width
  }
}

/// What ``PipelineStages/denoise(_:into:control:)`` takes.
package struct DenoiseInput {
  package let size: LatentSize
  /// `[batch, latentChannels, height, width]`
  package let latents: UnsafeBufferPointer<Float>
  /// Training timestep, 0 = data, one for the batch.
  package let timestep: Double
  package let condition: Condition
  package let sparsity: SparsityChoice
  /// As ``GenerationRequest/tokenSchedule``.
  package let tokenSchedule: TokenScheduleKind?

  /// What the pictures are to show.
  package enum Condition {
    /// Features `[batch, length, textChannels]`, and `[batch, length]` of 1 for a token and 0 for
    /// padding.
    case text(UnsafeBufferPointer<Float>, mask: [Int32], length: Int)
    /// A class label per picture; ``ModelInfo/classCount`` is the label of no class.
    case labels([Int])
  }

  package init(
    size: LatentSize, latents: UnsafeBufferPointer<Float>, timestep: Double,
    condition: Condition, sparsity: SparsityChoice,
    tokenSchedule: TokenScheduleKind? = nil
  ) {
    self.size = size
    self.latents = latents
    self.timestep = timestep
    self.condition = condition
    self.sparsity = sparsity
    self.tokenSchedule = tokenSchedule
  }
}

extension Compute {
  /// A caller's array as a tensor of this `Compute`.
  fileprivate func copy(
    _ values: UnsafeBufferPointer<Float>, _ shape: Shape
  ) throws(SparseDiTError) -> Tensor {
    let tensor = try empty(shape, .f32)
    _ = tensor.f32.update(fromContentsOf: values)
    return tensor
  }
}
