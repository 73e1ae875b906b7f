import Tensors

/// The denoising network: noisy latents, timestep and text or class label to a prediction.
///
/// PixArt-α and -Σ as diffusers' `PixArtTransformer2DModel` computes them, DiT as its
/// `DiTTransformer2DModel` or the authors' code does, dense; and SparseDiT on the same blocks. Which
/// block sees which tokens is a ``BackbonePlan``; the backbone only walks it.
package struct Backbone: Sendable {
  package let config: BackboneConfig
  let patchEmbedding: Linear
  let captionProjection: TextProjection?
  let adaLN: any AdaLN
  let blocks: [BlockBody]
  let output: Linear
  package let weights: NamedWeights

  /// Reads the weights in `transformer/` of a model folder.
  package init(
    _ config: BackboneConfig, _ folder: ModelFolder, precision: Precision, budget: WeightBudget?
  ) throws(SparseDiTError) {
    try self.init(
      config: config,
      reader: folder.weights(
        "transformer", base: "diffusion_pytorch_model", precision: precision, budget: budget))
  }

  init(config: BackboneConfig, reader: WeightReader) throws(SparseDiTError) {
    self.config = config
    let width = config.width
    if config.family == .originalDiT {
      reader.translate(AuthorWeightNames.table(config))
      try AuthorWeightNames.checkPositions(reader, config)
    }
    let patchInputs = config.inChannels * config.patch * config.patch
    // A p×p convolution of stride p is a linear layer on patches.
    patchEmbedding = Linear(
      weight: try reader.tensor(
        "pos_embed.proj.weight", [width, config.inChannels, config.patch, config.patch],
        keep: .matrix
      ).reshaped([width, patchInputs]),
      bias: try reader.tensor("pos_embed.proj.bias", [width]))
    let outputName: String
    switch config.condition {
    case .text(let text):
      captionProjection =
        if let channels = text.captionChannels {
          try TextProjection(reader, config, channels: channels)
        } else { nil }
      adaLN = try AdaLNSingle(reader, config, usesPictureSize: text.usesPictureSize)
      outputName = "proj_out"
    case .classes(let classes):
      captionProjection = nil
      adaLN = try AdaLNZero(reader, config, classes)
      outputName = "proj_out_2"
    }
    let roles = config.sparsity?.layout.roles ?? Array(repeating: .dense, count: config.depth)
    var blocks: [BlockBody] = []
    for (depth, role) in roles.enumerated() {
      blocks.append(try BlockBody(reader, depth: depth, role: role, config))
    }
    self.blocks = blocks
    output = try reader.linear(
      outputName, in: width, out: config.patch * config.patch * config.outChannels)
    // Constants that early versions of diffusers saved along.
    reader.ignore { ["pos_embed.pos_embed", "caption_projection.y_embedding"].contains($0) }
    try reader.finish()
    weights = reader.named
  }

  /// Makes the keys and values that the blocks read, once for all steps. Only for a backbone that
  /// reads text.
  ///
  /// - Parameters:
  ///   - embedding: f32 `[B, L, textChannels]`.
  ///   - mask: B·L values, 1 for a token, 0 for padding.
  ///   - sizes: of the pictures, for models that read them: one for all or one per picture.
  package func prepareText(
    _ embedding: Tensor, mask: [Float], sizes: [PictureSize] = [], on compute: Compute
  ) throws(SparseDiTError) -> PreparedText {
    let (batch, length) = (embedding.shape[0], embedding.shape[1])
    let visible = try TextMask(mask, batch: batch, length: length)
    var text = embedding
    if visible.length < length {
      text = try compute.concatenate(
        (0..<batch).map { row in
          embedding.rows(row..<row + 1).reshaped([length, config.textChannels])
            .rows(0..<visible.length)
        }
      ).reshaped([batch, visible.length, config.textChannels])
    }
    let projected = try captionProjection?.forward(text, on: compute) ?? text  // [B, L, D]
    var keys: [Tensor] = []
    var values: [Tensor] = []
    for block in blocks {
      guard let attention = block.textAttention, let key = attention.queryAndKey?.key
      else { continue }
      keys.append(try compute.linear(projected, key))  // [B, L, D]
      values.append(try compute.linear(projected, attention.value))  // [B, L, D]
    }
    return PreparedText(
      batch: batch, length: visible.length, keys: keys, values: values,
      bias: visible.bias.map { .perKey($0) }, sizes: sizes)
  }

  /// The grid of tokens for latents of that size.
  ///
  /// - Throws: `invalidArgument` when a side is not a positive multiple of the patch.
  package func grid(latentHeight: Int, latentWidth: Int) throws(SparseDiTError) -> Grid {
    let patch = config.patch
    guard latentHeight > 0, latentWidth > 0, latentHeight % patch == 0, latentWidth % patch == 0
    else {
      throw .invalidArgument(
        "latents of \(latentHeight)×\(latentWidth) are not positive multiples of the patch \(patch)"
      )
    }
    return Grid(height: latentHeight / patch, width: latentWidth / patch)
  }

  /// What the blocks do to norms and residuals in forwards at these timesteps.
  ///
  /// - Throws: `invalidArgument` for a condition that this backbone does not take.
  package func modulations(
    at timesteps: [Double], _ condition: Condition<PreparedText, [Int]>, on compute: Compute
  ) throws(SparseDiTError) -> [ForwardModulation] {
    _ = try checked(condition, batch: 1)
    return try adaLN.forward(timesteps: timesteps, condition, on: compute)
  }

  /// Predicts for a batch of noisy latents at one timestep.
  ///
  /// - Parameters:
  ///   - timestep: training timestep of the whole batch, 0 = data.
  ///   - others: see ``forward(_:_:_:plan:on:checkCancelled:)``.
  package func forward(
    _ latents: Tensor, timestep: Double, _ condition: Condition<PreparedText, [Int]>,
    plan: BackbonePlan,
    on compute: Compute, checkCancelled: () throws(SparseDiTError) -> Void = {}
  ) throws(SparseDiTError) -> Tensor {
    _ = try checked(condition, batch: latents.shape[0])
    let modulation = try modulations(at: [timestep], condition, on: compute)[0]
    return try forward(
      latents, modulation, condition, plan: plan, on: compute, checkCancelled: checkCancelled)
  }

  /// Predicts for a batch of noisy latents.
  ///
  /// - Parameters:
  ///   - latents: f32 `[B, C, h, w]`, contiguous; or `[1, C, h, w]`, the same for all B conditions,
  ///     where what does not depend on those is computed once.
  ///   - modulation: from ``modulations(at:_:on:)`` for this condition.
  ///   - condition: of B pictures; a text from ``prepareText(_:mask:on:)`` on the same `Compute`.
  ///   - plan: for the token grid of these latents, with a role for each block.
  ///   - checkCancelled: called before each block.
  /// - Returns: f32 `[B, outChannels, h, w]`.
  /// - Throws: `invalidArgument` for a condition that this backbone does not take.
  package func forward(
    _ latents: Tensor, _ modulation: ForwardModulation, _ condition: Condition<PreparedText, [Int]>,
    plan: BackbonePlan, on compute: Compute,
    checkCancelled: () throws(SparseDiTError) -> Void = {}
  ) throws(SparseDiTError) -> Tensor {
    let text = try checked(condition, batch: latents.shape[0])
    let positions = try positionTable(  // [N, D]
      of: plan.dense, width: config.width, base: config.sampleSize / config.patch,
      interpolationScale: config.interpolationScale)
    let patches = try compute.patchify(latents, patch: config.patch)  // [B or 1, N, C·p·p]
    var tokens = try compute.linear(patches, patchEmbedding, output: .f32)  // [B or 1, N, D]
    try compute.broadcastAdd(tokens, positions)
    // Where modulation depends on the condition, so does everything from here on.
    if modulation.rows > 1 { tokens = try compute.repeated(tokens, modulation.rows) }

    let run = BlockRun(
      compute: compute, config: config, modulations: modulation.blocks, text: text, plan: plan,
      positionsAgain: config.sparsity?.positionsAgain == true ? positions : nil)
    let x = try walk(plan, tokens, run, checkCancelled)  // [B, N, D]
    return try finish(x, modulation, plan.dense, on: compute)
  }

  /// Takes the tokens through the blocks as the plan says.
  private func walk(
    _ plan: BackbonePlan, _ tokens: Tensor, _ run: BlockRun,
    _ checkCancelled: () throws(SparseDiTError) -> Void
  ) throws(SparseDiTError) -> Tensor {
    var streams = TokenStreams(dense: tokens, sparse: tokens)
    for (body, role) in zip(blocks, plan.roles) {
      try checkCancelled()
      let block: any Block =
        switch role {
        case .dense: TransformerBlock(body: body, stream: \.dense)
        case .sparse: TransformerBlock(body: body, stream: \.sparse)
        case .poolingformer: Poolingformer(body: body)
        case .generation: SparseTokenGeneration(body: body)
        case .recovery: DenseTokenRecovery(body: body)
        }
      try block.forward(&streams, run)
    }
    return streams.dense
  }

  /// The last norm and projection, and tokens back to an image: `[B, N, D]` → f32 `[B, C, h, w]`.
  private func finish(
    _ x: Tensor, _ modulation: ForwardModulation, _ grid: Grid, on compute: Compute
  ) throws(SparseDiTError) -> Tensor {
    let h = try compute.layerNorm(  // [B, N, D]
      x, epsilon: 1e-6, scale: modulation.outputScale, shift: modulation.outputShift)
    let patches = try compute.linear(h, output, output: .f32)  // [B, N, p·p·C]
    return try compute.unpatchify(patches, grid: grid, patch: config.patch)
  }

  /// The text that the blocks read, if any, of a condition of the kind and count that is needed.
  private func checked(
    _ condition: Condition<PreparedText, [Int]>, batch: Int
  ) throws(SparseDiTError) -> PreparedText? {
    switch (config.condition, condition) {
    case (.text(let kind), .text(let text)):
      let sizes = text.sizes.count
      guard !kind.usesPictureSize || sizes == 1 || sizes == text.batch else {
        throw .invalidArgument(
          "this model needs the picture's size: 1 or \(text.batch), not \(sizes)")
      }
      guard batch == 1 || batch == text.batch else {
        throw .invalidArgument("\(text.batch) texts for \(batch) pictures")
      }
      return text
    case (.classes(let classes), .classes(let labels)):
      guard batch == 1 || batch == labels.count else {
        throw .invalidArgument("\(labels.count) class labels for \(batch) pictures")
      }
      if let label = labels.first(where: { !(0...classes.count).contains($0) }) {
        throw .invalidArgument(
          "class label \(label) is not in 0 to \(classes.count), which stands for no class")
      }
      return nil
    case (.text, .classes), (.classes, .text):
      throw config.condition.kind.refusal(of: "condition", condition.kind)
    }
  }
}
