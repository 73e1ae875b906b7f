import Tensors

/// The tokens of a batch on their way through the blocks, f32. Before the first text both may be
/// `[1, …]`, the same for all B conditions.
struct TokenStreams {
  /// `[B, N, D]`
  var dense: Tensor
  /// `[B, M, D]`, from a generation to its recovery.
  var sparse: Tensor
}

/// Which of the two.
typealias TokenStream = WritableKeyPath<TokenStreams, Tensor>

/// A block of the backbone: its tokens read tokens, then the text, then each goes through a
/// feed-forward. The kinds differ in ``mix(_:_:)`` alone: which tokens read which.
protocol Block {
  var body: BlockBody { get }
  /// The tokens that the block makes anew.
  var stream: TokenStream { get }

  /// - Returns: `[B, Nq, D]`, the block's tokens when they have read others. It may change `tokens`.
  func mix(_ tokens: TokenStreams, _ run: BlockRun) throws(SparseDiTError) -> Tensor
}

extension Block {
  func forward(_ tokens: inout TokenStreams, _ run: BlockRun) throws(SparseDiTError) {
    let x = try run.perText(try mix(tokens, run))
    try body.readText(x, run)
    try body.feedForward(x, run)
    tokens[keyPath: stream] = x
  }
}

/// An ordinary block, on dense or on sparse tokens: each reads all of them.
struct TransformerBlock: Block {
  let body: BlockBody
  let stream: TokenStream

  func mix(_ tokens: TokenStreams, _ run: BlockRun) throws(SparseDiTError) -> Tensor {
    let x = tokens[keyPath: stream]
    try body.attend(x, run)
    return x
  }
}

/// A block at the bottom, where tokens still hold little but noise: each reads the mean of all.
///
/// Source: SparseDiT (arXiv 2412.06028). All N tokens are kept here; only the attention is cheap.
struct Poolingformer: Block {
  let body: BlockBody
  var stream: TokenStream { \.dense }

  func mix(_ tokens: TokenStreams, _ run: BlockRun) throws(SparseDiTError) -> Tensor {
    let x = tokens.dense
    try body.pool(x, run)
    return x
  }
}

/// The first block of a sparse-dense token module: M new tokens, each the average of its part of
/// the dense grid, read all N.
struct SparseTokenGeneration: Block {
  let body: BlockBody
  var stream: TokenStream { \.sparse }

  func mix(_ tokens: TokenStreams, _ run: BlockRun) throws(SparseDiTError) -> Tensor {
    let x = tokens.dense
    let s = try pooled(x, run)  // [B, M, D]
    try body.attend(s, to: x, run)
    return s
  }

  private func pooled(_ x: Tensor, _ run: BlockRun) throws(SparseDiTError) -> Tensor {
    let (dense, sparse) = (run.plan.dense, run.plan.sparse)
    let s = try run.compute.adaptiveAveragePool(x, from: dense, to: sparse)  // [B, M, D]
    if let positions = run.positionsAgain {
      // Pooling is linear: the pooled sum is the sum of the pooled.
      let pooled = try run.compute.adaptiveAveragePool(  // [1, M, D]
        positions.reshaped([1, dense.count, positions.shape.columns]), from: dense, to: sparse)
      try run.compute.broadcastAdd(s, pooled.reshaped([sparse.count, pooled.shape.columns]))
    }
    return s
  }
}

/// The block that leads back: the dense tokens that entered the module, merged with what the sparse
/// ones have become, read those.
struct DenseTokenRecovery: Block {
  let body: BlockBody
  var stream: TokenStream { \.dense }

  func mix(_ tokens: TokenStreams, _ run: BlockRun) throws(SparseDiTError) -> Tensor {
    let s = tokens.sparse
    let x = try merged(try run.perText(tokens.dense), s, run)  // [B, N, D]
    if let positions = run.positionsAgain { try run.compute.broadcastAdd(x, positions) }
    try body.attend(x, to: s, run)
    return x
  }

  /// W1·upsample(s) + b + W2·x. W1 goes first: it commutes with upsampling, and M < N rows are
  /// cheaper. A checkpoint trained dense has W1 = 0 and W2 = identity: merged is x.
  private func merged(
    _ x: Tensor, _ s: Tensor, _ run: BlockRun
  ) throws(SparseDiTError) -> Tensor {
    guard let merge = body.merge else { return x }
    let compute = run.compute
    let upsampled = try compute.nearestUpsample(  // [B, N, D]
      try compute.linear(s, merge.sparse, output: .f32), from: run.plan.sparse, to: run.plan.dense)
    if let dense = merge.dense {
      try compute.linear(x, dense, addingTo: upsampled)
      return upsampled
    }
    try compute.add(upsampled, to: x)
    return x
  }
}
