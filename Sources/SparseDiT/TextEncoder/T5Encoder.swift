import Tensors

/// The encoder of T5 v1.1, any size: token ids to text features.
///
/// Source: arXiv 1910.10683 and 2002.05202, with the weight names of transformers'
/// `T5EncoderModel`. Pre-norm blocks with RMS norms, unscaled dot products plus a relative position
/// bias that all layers share, a gated feed-forward; the residual stream is f32 throughout, so
/// bf16's range (and f16's, which T5 is known to overflow) never matters.
package struct T5Encoder: Sendable {
  let config: T5Config
  /// `[vocabulary, C]`.
  let embedding: Tensor
  let position: RelativePosition
  let layers: [T5Layer]
  /// f32 `[C]`.
  let finalNorm: Tensor
  package let weights: NamedWeights

  /// C, the channels of the features.
  package var channels: Int { config.width }

  /// Reads the weights in `text_encoder/` of a model folder.
  package init(
    _ config: T5Config, _ folder: ModelFolder, precision: Precision, budget: WeightBudget?
  ) throws(SparseDiTError) {
    self.config = config
    let reader = try folder.weights(
      "text_encoder", base: "model", precision: precision, budget: budget)
    let width = config.width
    // The embedding is saved under either of its two names, or both.
    let names = ["shared.weight", "encoder.embed_tokens.weight"]
    embedding = try reader.tensor(
      names.first(where: reader.contains) ?? names[0], [config.vocabulary, width], keep: .matrix)
    let first = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    position = RelativePosition(
      table: try reader.tensor(first, [config.buckets, config.heads]),
      maxDistance: config.maxDistance)
    var layers: [T5Layer] = []
    for index in 0..<config.layers {
      layers.append(try T5Layer(reader, "encoder.block.\(index).layer", config))
    }
    self.layers = layers
    finalNorm = try reader.tensor("encoder.final_layer_norm.weight", [width])
    // A whole T5 brings its decoder along.
    reader.ignore { names.contains($0) || $0.hasPrefix("decoder.") || $0 == "lm_head.weight" }
    try reader.finish()
    weights = reader.named
  }

  /// Encodes `batch` prompts of `length` tokens each.
  ///
  /// - Parameters:
  ///   - ids: `batch·length` token ids, row by row.
  ///   - mask: as many, 1 for a token and 0 for padding, which no token attends to.
  ///   - checkCancelled: called before each layer.
  /// - Returns: f32 `[batch, length, C]`.
  /// - Throws: `invalidArgument` for an id outside the vocabulary or counts that do not match.
  package func encode(
    ids: [Int32], mask: [Int32], batch: Int, length: Int, on compute: Compute,
    checkCancelled: () throws(SparseDiTError) -> Void = {}
  ) throws(SparseDiTError) -> Tensor {
    guard ids.count == batch * length, mask.count == ids.count else {
      throw .invalidArgument(
        "\(ids.count) token ids and a mask of \(mask.count) for \(batch) prompts of \(length)")
    }
    if let id = ids.first(where: { $0 < 0 || $0 >= config.vocabulary }) {
      throw .invalidArgument(
        "token id \(id) is outside the text encoder's vocabulary of \(config.vocabulary)")
    }
    let hidden = Float.greatestFiniteMagnitude
    let bias = AttentionBias.perHead(
      try position.bias(length: length, on: compute),  // [heads, L, L]
      mask: try Tensor(mask.map { $0 == 0 ? -hidden : 0 }, [batch, length]))
    let x = try compute.gatherRows(embedding, try Tensor(ids, [batch, length]))  // [B, L, C]
    for layer in layers {
      try checkCancelled()
      try layer.forward(x, bias, config, on: compute)
    }
    let normed = try compute.rmsNorm(x, weight: finalNorm, epsilon: config.epsilon)
    return try compute.cast(normed, to: .f32)
  }
}

/// One encoder layer: self-attention and a gated feed-forward, each after a norm and added to x.
struct T5Layer: Sendable {
  let attentionNorm: Tensor
  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear
  let feedForwardNorm: Tensor
  let gate: Linear
  let up: Linear
  let down: Linear

  init(_ reader: WeightReader, _ name: String, _ config: T5Config) throws(SparseDiTError) {
    let width = config.width
    let inner = config.heads * config.headWidth
    func linear(_ part: String, _ inputs: Int, _ outputs: Int) throws(SparseDiTError) -> Linear {
      try reader.linear("\(name).\(part)", in: inputs, out: outputs, bias: false)
    }
    attentionNorm = try reader.tensor("\(name).0.layer_norm.weight", [width])
    query = try linear("0.SelfAttention.q", width, inner)
    key = try linear("0.SelfAttention.k", width, inner)
    value = try linear("0.SelfAttention.v", width, inner)
    output = try linear("0.SelfAttention.o", inner, width)
    feedForwardNorm = try reader.tensor("\(name).1.layer_norm.weight", [width])
    gate = try linear("1.DenseReluDense.wi_0", width, config.hidden)
    up = try linear("1.DenseReluDense.wi_1", width, config.hidden)
    down = try linear("1.DenseReluDense.wo", config.hidden, width)
  }

  /// x `[B, L, C]`, f32, in place.
  func forward(
    _ x: Tensor, _ bias: AttentionBias, _ config: T5Config, on compute: Compute
  ) throws(SparseDiTError) {
    let h = try compute.rmsNorm(x, weight: attentionNorm, epsilon: config.epsilon)  // [B, L, C]
    let attended = try compute.attention(  // [B, L, heads·headWidth]
      query: try compute.linear(h, query), key: try compute.linear(h, key),
      value: try compute.linear(h, value), heads: config.heads, scale: 1, bias: bias)
    try compute.linear(attended, output, addingTo: x)

    let g = try compute.rmsNorm(x, weight: feedForwardNorm, epsilon: config.epsilon)  // [B, L, C]
    let gated = try compute.linear(  // [B, L, hidden]
      g, gate, activation: .gelu, multipliedBy: try compute.linear(g, up))
    try compute.linear(gated, down, addingTo: x)
  }
}
