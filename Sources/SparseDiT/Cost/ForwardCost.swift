import Tensors

/// What counts as the work of a forward.
package enum CountingRule: String, Sendable, CaseIterable {
  /// What this engine multiplies.
  case executed
  /// What the published PyTorch code multiplies for one picture, which is what the paper's tables
  /// count: a Poolingformer projects all N tokens, W1 follows the upsampling, and every forward
  /// projects the text again.
  case paper
}

/// What a forward of a backbone costs, block by block, from the plan that the backbone follows.
///
/// N dense tokens, M sparse tokens, D channels, L tokens of text.
package struct ForwardCost: Sendable {
  package let config: BackboneConfig
  package let rule: CountingRule
  /// Pictures that go through the backbone together: two with guidance.
  package let batch: Int
  private let format: NumberFormat
  private let width: Double
  private let pictures: Double
  /// Pictures of the batch that have latents of their own.
  private let distinct: Double
  private let textTokens: Double

  /// - Parameters:
  ///   - sharesLatents: whether all pictures of the batch have the same latents, as with guidance.
  ///   - textTokens: L, tokens of the longest prompt; has no effect where no text is read.
  package init(
    _ config: BackboneConfig, rule: CountingRule = .executed, batch: Int = 1,
    sharesLatents: Bool = false, textTokens: Int = 0, format: NumberFormat
  ) {
    self.config = config
    self.rule = rule
    self.batch = batch
    self.format = format
    width = Double(config.width)
    pictures = Double(batch)
    distinct = sharesLatents ? 1 : pictures
    self.textTokens = config.text == nil ? 0 : Double(textTokens)
  }

  /// One forward of the whole batch, without its modulation.
  package func forward(_ plan: BackbonePlan) -> Cost {
    let blocks = plan.roles.enumerated().map { depth, role in
      block(role, plan, isFirst: depth == 0)
    }
    return (blocks + [ends(plan)]).total
  }

  /// One forward of the whole batch with its share of the modulation of `count` forwards, which is
  /// made at once and held until they are done.
  package func step(_ plan: BackbonePlan, among count: Int = 1) -> Cost {
    let (forward, modulation) = (forward(plan), modulation(forwards: count))
    return Cost(
      multiplyAdds: forward.multiplyAdds + modulation.multiplyAdds / Double(count),
      weightBytes: forward.weightBytes + modulation.weightBytes / Double(count),
      activationBytes: forward.activationBytes + modulation.activationBytes)
  }

  /// Patch embedding and last projection.
  package func ends(_ plan: BackbonePlan) -> Cost {
    let patch = Double(config.patch * config.patch)
    let (inputs, outputs) = (patch * Double(config.inChannels), patch * Double(config.outChannels))
    let tokens = Double(plan.dense.count)
    let rows = pictures * tokens
    var cost =
      format.linear(rows: distinct * tokens, inputs, width)
      + format.linear(rows: rows, width, outputs)
    cost.activationBytes +=
      residualBytes(plan) + format.activationBytes(rows * width) + format.floatBytes(rows * outputs)
    return cost
  }

  /// One block of the batch, without its modulation.
  ///
  /// - Parameter isFirst: where nothing before its text depends on more than the latents.
  package func block(_ role: BlockRole, _ plan: BackbonePlan, isFirst: Bool = false) -> Cost {
    let tokens = plan.tokens(of: role)
    let queries = pictures * Double(tokens.queries)
    var cost =
      attention(role, plan, pictures: isFirst && config.classes == nil ? distinct : pictures)
      + merge(role, plan) + readText(queries: queries)
      + format.linear(rows: queries, width, 4 * width)
      + format.linear(rows: queries, 4 * width, width, products: gatedProducts)
    cost.activationBytes += residualBytes(plan) + scratchBytes(role, plan)
    return cost
  }

  /// What all blocks read of the prompts, made once for all steps: text projection, keys and values.
  /// Nothing under the paper's rule, which counts it in every forward.
  package var text: Cost {
    guard rule == .executed else { return .zero }
    var cost = textProjection + config.depth * textKeysValues
    cost.activationBytes +=
      format.activationBytes(2 * Double(config.depth) * pictures * textTokens * width)
    return cost
  }

  // MARK: Parts of a block

  private func attention(_ role: BlockRole, _ plan: BackbonePlan, pictures: Double) -> Cost {
    let tokens = plan.tokens(of: role)
    let (queries, keys) = (pictures * Double(tokens.queries), pictures * Double(tokens.keys))
    func square(_ rows: Double, products: Double = 1) -> Cost {
      format.linear(rows: rows, width, width, products: products)
    }
    switch role {
    case .poolingformer:
      // The mean commutes with both projections, so one row per picture is enough.
      let rows = rule == .paper ? queries : pictures
      return square(rows) + square(rows)
    case .dense, .sparse, .generation, .recovery:
      return square(queries) + square(keys) + square(keys)
        + format.attention(queries: queries, keys: Double(tokens.keys), width: width)
        + square(queries, products: gatedProducts)
    }
  }

  /// W1 on the sparse and W2 on the dense tokens; a checkpoint trained dense has neither. (One that
  /// was converted and not fine-tuned has W2 = identity, which the engine leaves out.)
  private func merge(_ role: BlockRole, _ plan: BackbonePlan) -> Cost {
    guard role == .recovery, config.sparsity != nil else { return .zero }
    // W1 commutes with the upsampling, so M rows are enough.
    let upsampled = rule == .paper ? plan.dense.count : plan.sparse.count
    return format.linear(rows: pictures * Double(upsampled), width, width)
      + format.linear(rows: pictures * Double(plan.dense.count), width, width, bias: false)
  }

  private func readText(queries: Double) -> Cost {
    guard config.text != nil else { return .zero }
    let cost =
      format.linear(rows: queries, width, width)
      + format.attention(queries: queries, keys: textTokens, width: width)
      + format.linear(rows: queries, width, width)
    return rule == .paper ? cost + textKeysValues : cost
  }

  private var textKeysValues: Cost {
    guard let text = config.text else { return .zero }
    return 2 * format.linear(rows: pictures * textTokens, Double(text.crossChannels), width)
  }

  private var textProjection: Cost {
    guard let channels = config.text?.captionChannels else { return .zero }
    let rows = pictures * textTokens
    return format.linear(rows: rows, Double(channels), width)
      + format.linear(rows: rows, width, width)
  }

  // MARK: Modulation

  /// Products that the rows of a gated layer are split into: where each picture has a gate of its
  /// own, one for each.
  private var gatedProducts: Double { config.classes == nil ? 1 : pictures }

  /// Embeddings of the timestep (and of the picture's size), and what adaLN makes of them, for that
  /// many forwards at once, so that their weights are read once. The batch shares one row, except for
  /// what depends on a label.
  package func modulation(forwards: Int = 1) -> Cost {
    let rows = Double(forwards)
    let timestep = embedding(rows: rows, width)
    var cost: Cost
    if let text = config.text {
      let third = (width / 3).rounded(.down)
      let size =
        text.usesPictureSize
        ? embedding(rows: 2 * rows, third) + embedding(rows: rows, third) : .zero
      cost = timestep + size + format.linear(rows: rows, width, 6 * width)
    } else {
      // A linear layer for each block, and one for the last norm.
      cost =
        timestep + config.depth * format.linear(rows: rows * pictures, width, 6 * width)
        + format.linear(rows: rows * pictures, width, 2 * width)
    }
    let values = Double(6 * config.depth + 2) * gatedProducts * width
    cost.activationBytes += format.floatBytes(rows * values)
    return rule == .paper ? cost + forwards * textProjection : cost
  }

  /// A ``SinusoidalEmbedding``.
  private func embedding(rows: Double, _ outputs: Double) -> Cost {
    let waves = 256.0
    return format.linear(rows: rows, waves, outputs) + format.linear(rows: rows, outputs, outputs)
  }

  // MARK: Memory

  /// Bytes of what every step reads of the blocks' weights and is therefore kept packed, beside the
  /// weights as they were loaded.
  package var packedBytes: Double {
    guard format.multipliesBF16 else { return 0 }
    let square = Linear.packedBytes(inputs: width, outputs: width)
    let feedForward =
      Linear.packedBytes(inputs: width, outputs: 4 * width)
      + Linear.packedBytes(inputs: 4 * width, outputs: width)
    let roles = config.sparsity?.layout.roles ?? BlockLayout.dense(depth: config.depth).roles
    return roles.reduce(0) { sum, role in
      let attention = role == .poolingformer ? 0 : 4.0
      let text = config.text == nil ? 0 : 2.0
      let merge = role == .recovery ? 2.0 : 0
      return sum + (attention + text + merge) * square + feedForward
    }
  }

  /// The token streams in f32: the dense one, and the sparse one if there is one.
  private func residualBytes(_ plan: BackbonePlan) -> Double {
    let tokens = plan.dense.count + (plan.roles.contains(.generation) ? plan.sparse.count : 0)
    return format.floatBytes(pictures * Double(tokens) * width)
  }

  /// What a block holds at its worst moment, besides the streams: norms of queries and of what they
  /// read, their projections and the attended values; or a norm and the hidden layer; or, in a
  /// recovery, the merged tokens as well.
  private func scratchBytes(_ role: BlockRole, _ plan: BackbonePlan) -> Double {
    let tokens = plan.tokens(of: role)
    let (queries, keys) = (Double(tokens.queries), Double(tokens.keys))
    let readsItself = role == .dense || role == .sparse
    let attention =
      role == .poolingformer ? 4 : 3 * queries + (readsItself ? 2 : 3) * keys
    let hidden = 5 * queries
    let merged = role == .recovery && config.sparsity != nil ? queries : 0
    return format.activationBytes(pictures * max(attention, hidden) * width)
      + format.floatBytes(pictures * merged * width)
  }
}
