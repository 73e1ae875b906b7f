import Tensors

/// What a request would cost, worked out from the plans that the backbone would follow.
package struct RequestCost: Sendable, Hashable {
  /// Multiply-accumulates of one forward for one picture and one guidance half, averaged over the
  /// steps.
  package let multiplyAddsPerForward: Double
  /// Of all forwards of the request.
  package let multiplyAdds: Double
  /// Bytes of backbone weights that one forward reads.
  package let weightBytes: Int
  /// Bytes that the request would hold at its worst moment, beside mapped files.
  package let peakBytes: Int
}

/// Counts the multiply-accumulates of a forward as it is executed: matrix products only, without
/// norms, pooling and softmax.
struct ForwardCost {
  private let width: Double
  private let patchChannels: Double
  private let config: BackboneConfig
  /// Tokens of the prompt that cross-attention reads.
  private let textTokens: Double

  init(_ config: BackboneConfig, textTokens: Int) {
    self.config = config
    self.textTokens = Double(textTokens)
    width = Double(config.width)
    patchChannels = Double(config.patch * config.patch * (config.inChannels + config.outChannels))
  }

  /// One forward for one picture.
  func multiplyAdds(_ plan: BackbonePlan) -> Double {
    let ends = Double(plan.dense.count) * width * patchChannels
    return plan.roles.reduce(ends + modulation) { $0 + block($1, plan) }
  }

  /// The keys and values that all blocks read of one prompt, made once per request.
  var text: Double {
    guard let text = config.text else { return 0 }
    let caption = text.captionChannels.map { Double($0) * width + width * width } ?? 0
    let keysAndValues = 2 * Double(config.depth) * Double(text.crossChannels) * width
    return textTokens * (caption + keysAndValues)
  }

  private func block(_ role: BlockRole, _ plan: BackbonePlan) -> Double {
    let tokens = plan.tokens(of: role)
    let (queries, keys) = (Double(tokens.queries), Double(tokens.keys))
    let square = width * width
    let readText = queries * (2 * square + 2 * textTokens * width)
    let feedForward = queries * 8 * square
    return attention(role, queries: queries, keys: keys) + merge(role, plan) + readText
      + feedForward
  }

  private func attention(_ role: BlockRole, queries: Double, keys: Double) -> Double {
    let square = width * width
    switch role {
    case .poolingformer: return 2 * square  // one row
    case .dense, .sparse, .generation, .recovery:
      return 2 * queries * square + 2 * keys * square + 2 * queries * keys * width
    }
  }

  /// W1 on the sparse and W2 on the dense tokens; a checkpoint trained dense has neither.
  private func merge(_ role: BlockRole, _ plan: BackbonePlan) -> Double {
    guard role == .recovery, config.sparsity != nil else { return 0 }
    return Double(plan.sparse.count + plan.dense.count) * width * width
  }

  /// The timestep's embedding and its projection to six values per channel.
  private var modulation: Double { 256 * width + width * width + 6 * width * width }
}

extension Pipeline {
  /// - Throws: `invalidArgument` for a request that ``generate(_:control:)`` would refuse, except
  ///   for its memory.
  package func cost(of request: GenerationRequest) throws(SparseDiTError) -> RequestCost {
    let job = try GenerationJob(request, model: model, info: info)
    let forward = ForwardCost(model.backbone.config, textTokens: job.condition.textTokens)
    let steps = job.plans.reduce(0) { $0 + forward.multiplyAdds($1) }
    let count = Double(request.count)
    return RequestCost(
      multiplyAddsPerForward: steps / Double(job.plans.count),
      multiplyAdds: Double(job.condition.batch) * (count * steps + forward.text),
      weightBytes: model.backbone.weights.byteCount,
      peakBytes: memoryEstimate(of: job))
  }
}

extension NamedWeights {
  fileprivate var byteCount: Int {
    items.reduce(0) { $0 + $1.tensor.shape.count * $1.tensor.dtype.byteCount }
  }
}
