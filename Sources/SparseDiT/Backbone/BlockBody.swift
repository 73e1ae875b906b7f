import Tensors

/// The weights of one block, and the steps that every kind of block is made of.
///
/// Shapes: B pictures; Nq tokens of the block, Nk tokens that its attention reads, D channels, L
/// text tokens. Token tensors are the f32 residual stream and change in place.
struct BlockBody: Sendable {
  /// 0 at the bottom.
  let depth: Int
  let attention: AttentionWeights
  /// Nil in a backbone that reads no text.
  let textAttention: AttentionWeights?
  let up: Linear
  let down: Linear
  let activation: Activation
  /// Only in the dense recovery of a checkpoint trained sparse.
  let merge: TokenMerge?

  /// What the names of a block's weights begin with.
  static func name(_ depth: Int) -> String { "transformer_blocks.\(depth)" }

  init(
    _ reader: WeightReader, depth: Int, role: BlockRole, _ config: BackboneConfig
  ) throws(SparseDiTError) {
    let name = Self.name(depth)
    let width = config.width
    self.depth = depth
    attention = try AttentionWeights(
      reader, "\(name).attn1", width: width, context: width, bias: config.attentionBias,
      valueOnly: role == .poolingformer)
    textAttention =
      if let text = config.text {
        try AttentionWeights(
          reader, "\(name).attn2", width: width, context: text.crossChannels,
          bias: config.attentionBias, readsText: true)
      } else { nil }
    up = try reader.linear(
      "\(name).ff.net.0.proj", in: width, out: 4 * width, isReadOften: true)
    down = try reader.linear("\(name).ff.net.2", in: 4 * width, out: width, isReadOften: true)
    activation = config.activation
    merge = role == .recovery ? try TokenMerge(reader, name, width: width) : nil
  }

  /// x += gate · out(MHA(mod(norm(x)), mod(norm(y)))): tokens x read tokens y, or themselves. Both
  /// share norm and modulation.
  func attend(
    _ x: Tensor, to y: Tensor? = nil, _ run: BlockRun
  ) throws(SparseDiTError) {
    let m = run.modulation(of: self)
    guard let (query, key) = attention.queryAndKey else {
      throw .internalFailure("the block plan asks a Poolingformer for queries")
    }
    let compute = run.compute
    func norm(_ tokens: Tensor) throws(SparseDiTError) -> Tensor {
      try compute.layerNorm(
        tokens, epsilon: run.config.attentionEpsilon, scale: m.attentionScale,
        shift: m.attentionShift)
    }
    let queries = try norm(x)  // [B, Nq, D]
    let context = if let y { try norm(y) } else { queries }  // [B, Nk, D]
    let attended = try compute.attention(  // [B, Nq, D]
      query: try compute.linear(queries, query), key: try compute.linear(context, key),
      value: try compute.linear(context, attention.value), heads: run.config.heads,
      scale: run.config.attentionScale)
    try compute.linear(attended, attention.output, addingTo: x, gate: m.attentionGate)
  }

  /// x += gate · out(V(mean(mod(norm(x))))): attention with the uniform map. The mean over the tokens
  /// commutes with both projections, so they see one row per picture.
  func pool(_ x: Tensor, _ run: BlockRun) throws(SparseDiTError) {
    let m = run.modulation(of: self)
    let compute = run.compute
    let mean = try compute.layerNormMean(  // [B, 1, D]
      x, epsilon: run.config.attentionEpsilon, scale: m.attentionScale,
      shift: m.attentionShift)
    let value = try compute.linear(mean, attention.value)  // [B, 1, D]
    let row = try compute.linear(value, attention.output, output: .f32)  // [B, 1, D]
    try compute.broadcastAdd(x, row, gate: m.attentionGate)
  }

  /// x += out(MHA(x, text)), with neither norm nor gate, as in PixArt; nothing where there is no text.
  func readText(_ x: Tensor, _ run: BlockRun) throws(SparseDiTError) {
    guard let text = run.text, let textAttention, let query = textAttention.queryAndKey?.query
    else { return }
    let compute = run.compute
    let attended = try compute.attention(  // [B, Nq, D]
      query: try compute.linear(x, query), key: text.keys[depth],
      value: text.values[depth], heads: run.config.heads,
      scale: run.config.attentionScale, bias: text.bias)
    try compute.linear(attended, textAttention.output, addingTo: x)
  }

  /// x += gate · MLP(mod(norm(x))), D → 4·D → D.
  func feedForward(_ x: Tensor, _ run: BlockRun) throws(SparseDiTError) {
    let m = run.modulation(of: self)
    let compute = run.compute
    let h = try compute.layerNorm(  // [B, Nq, D]
      x, epsilon: run.config.feedForwardEpsilon, scale: m.feedForwardScale,
      shift: m.feedForwardShift)
    let hidden = try compute.linear(h, up, activation: activation)  // [B, Nq, 4·D]
    try compute.linear(hidden, down, addingTo: x, gate: m.feedForwardGate)
  }
}
