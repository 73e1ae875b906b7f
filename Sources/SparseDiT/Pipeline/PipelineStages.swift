import Tensors

/// All that a pipeline does, for a caller who has passed its gate: whole requests, their costs, and the
/// stages one by one, for hosts that run the denoising loop themselves. Arrays are the caller's,
/// row-major, and used during the call only.
///
/// Each throws `cancelled` as ``Pipeline/generate(_:asking:control:)`` does.
package struct PipelineStages: Sendable {
  let pipeline: Pipeline
  /// Stops what runs.
  package let cancellation: Cancellation

  package var info: ModelInfo { pipeline.info }
  /// T, the number of training timesteps.
  package var trainTimesteps: Int { pipeline.trainTimesteps }

  /// As ``Pipeline/generate(_:asking:control:)``.
  package func generate(
    _ request: GenerationRequest, asking density: TokenDensity?, control: RunControl
  ) throws(SparseDiTError) -> GenerationResult {
    try onWorker { (_, _) throws(SparseDiTError) in
      try pipeline.draw(pipeline.makePlan(request, asking: density), control)
    }
  }

  /// As ``Pipeline/cost(of:)``.
  package func cost(
    of request: GenerationRequest, asking density: TokenDensity?
  ) throws(SparseDiTError) -> RequestCost {
    try onWorker { (_, _) throws(SparseDiTError) in
      RequestCost(try pipeline.makePlan(request, asking: density))
    }
  }

  /// Tokens that a text may have: far above what any model of the family was trained for, low
  /// enough that the attention between them fits in memory.
  package static let textLengths = 1...1024

  /// The tokens of a prompt that is not cleaned, see ``GenerationRequest/cleansCaptions``.
  ///
  /// - Parameter length: tokens to cut or pad to, in ``textLengths``.
  /// - Throws: `invalidArgument` for a model that draws no text.
  package func tokenize(
    _ prompt: String, length: Int
  ) throws(SparseDiTError) -> TokenizedPrompt {
    try onWorker { (model, _) throws(SparseDiTError) in
      try text(of: model, for: "prompt").tokenizer.read(prompt, maxLength: length)
    }
  }

  /// - Parameters:
  ///   - ids: `[batch, length]`.
  ///   - mask: as many, 1 for a token and 0 for padding.
  ///   - embedding: receives `[batch, length, textChannels]`.
  /// - Throws: `invalidArgument` for an id outside the vocabulary or another mask, and for a model
  ///   that draws no text.
  package func encodePrompt(
    ids: [Int32], mask: [Int32], batch: Int, into embedding: UnsafeMutableBufferPointer<Float>
  ) throws(SparseDiTError) {
    try check(mask)
    try onWorker { (model, compute) throws(SparseDiTError) in
      let text = try text(of: model, for: "ids").encoder.encode(
        ids: ids, mask: mask, batch: batch, length: ids.count / batch, on: compute,
        checkCancelled: cancellation.check)
      _ = embedding.update(fromContentsOf: text.f32)
    }
  }

  /// Fills `latents` with the noise that `torch.randn` draws for that many elements.
  package func noise(
    seed: UInt64, into latents: UnsafeMutableBufferPointer<Float>
  ) throws(SparseDiTError) {
    try onWorker { (_, _) throws(SparseDiTError) in
      var generator = TorchGenerator(seed: seed)
      generator.fill(latents)
    }
  }

  /// One forward of the backbone.
  ///
  /// - Parameter output: receives `[batch, outputChannels, height, width]`.
  package func denoise(
    _ input: DenoiseInput, into output: UnsafeMutableBufferPointer<Float>
  ) throws(SparseDiTError) {
    try onWorker { (model, compute) throws(SparseDiTError) in
      let (backbone, size) = (model.backbone, input.size)
      let grid = try backbone.grid(latentHeight: size.height, latentWidth: size.width)
      let planner = try BackbonePlanner(
        input.sparsity, tokenSchedule: input.tokenSchedule, config: backbone.config,
        timesteps: model.outline.trainTimesteps)
      let condition = try condition(of: input, model, compute)
      let latents = try compute.copy(
        input.latents, [size.batch, backbone.config.inChannels, size.height, size.width])
      let prediction = try backbone.forward(
        latents, timestep: input.timestep, condition,
        plan: try planner.plan(for: grid, at: input.timestep), on: compute,
        checkCancelled: cancellation.check)
      _ = output.update(fromContentsOf: prediction.f32)
    }
  }

  private func condition(
    of input: DenoiseInput, _ model: LoadedModel, _ compute: Compute
  ) throws(SparseDiTError) -> Condition<PreparedText, [Int]> {
    switch input.condition {
    case .classes(let labels): return .classes(labels)
    case .text(let text):
      try model.condition.kind.require(.text, of: "features")
      try check(text.mask)
      let features = try compute.copy(
        text.features, [input.size.batch, text.length, model.backbone.config.textChannels])
      let scale = Double(model.autoencoder.scale)
      let size = PictureSize(
        height: Double(input.size.height) * scale, width: Double(input.size.width) * scale)
      return .text(
        try model.backbone.prepareText(
          features, mask: text.mask.map(Float.init), sizes: [size], on: compute))
    }
  }

  /// - Parameters:
  ///   - latents: `[batch, latentChannels, height, width]` as the sampler leaves them.
  ///   - pixels: receives `[batch, 3, height · latentScale, width · latentScale]`, about −1 … 1.
  package func decode(
    _ latents: UnsafeBufferPointer<Float>, _ size: LatentSize,
    into pixels: UnsafeMutableBufferPointer<Float>
  ) throws(SparseDiTError) {
    try onWorker { (model, compute) throws(SparseDiTError) in
      let latents = try compute.copy(
        latents, [size.batch, model.autoencoder.latentChannels, size.height, size.width])
      let decoded = try model.autoencoder.decode(
        latents, on: compute, checkCancelled: cancellation.check)
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
    try onWorker { (model, _) throws(SparseDiTError) in
      let sampler = try model.sampler(kind, eta: eta)
      return (sampler, try sampler.plan(steps: steps))
    }
  }

  private func onWorker<R>(
    _ body: (LoadedModel, Compute) throws(SparseDiTError) -> R
  ) throws(SparseDiTError) -> R {
    try pipeline.onWorker(cancellation, body)
  }

  /// - Parameter what: what messages call that which needs it.
  private func text(
    of model: LoadedModel, for what: String
  ) throws(SparseDiTError) -> PromptEncoder {
    guard let text = model.condition.text else {
      throw model.condition.kind.refusal(of: what, .text)
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
  /// For a caller who has passed ``gate`` with that.
  package func stages(_ cancellation: Cancellation) -> PipelineStages {
    PipelineStages(pipeline: self, cancellation: cancellation)
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
