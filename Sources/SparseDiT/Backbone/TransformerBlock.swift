import Tensors

// The four kinds of block. They share BlockBody and differ in the tokens that attention sees.
// Shapes: x [B, N, D] dense tokens, s [B, M, D] sparse tokens, all f32. In the first block both may
// be [1, …], the same for all B texts: they come out as B.

/// An ordinary block, on dense or on sparse tokens.
struct TransformerBlock {
  let body: BlockBody

  /// x (which changes) → the new x.
  func forward(_ x: Tensor, _ run: BlockRun) throws(SparseDiTError) -> Tensor {
    let m = run.modulation(of: body)
    try body.attend(x, m, run)
    let x = try run.perText(x)
    try body.readText(x, run)
    try body.feedForward(x, m, run)
    return x
  }
}

/// A block at the bottom, where tokens still hold little but noise: each reads the mean of all.
///
/// Source: SparseDiT (arXiv 2412.06028). All N tokens are kept here; only the attention is cheap.
struct Poolingformer {
  let body: BlockBody

  /// x (which changes) → the new x.
  func forward(_ x: Tensor, _ run: BlockRun) throws(SparseDiTError) -> Tensor {
    let m = run.modulation(of: body)
    try body.pool(x, m, run)
    let x = try run.perText(x)
    try body.readText(x, run)
    try body.feedForward(x, m, run)
    return x
  }
}

/// The first block of a sparse-dense token module: M new tokens, each the average of its part of
/// the dense grid, read all N.
struct SparseTokenGeneration {
  let body: BlockBody

  /// x `[B, N, D]` → s `[B, M, D]`.
  func forward(_ x: Tensor, _ run: BlockRun) throws(SparseDiTError) -> Tensor {
    let m = run.modulation(of: body)
    let (dense, sparse) = (run.plan.dense, run.plan.sparse)
    let s = try run.compute.adaptiveAveragePool(x, from: dense, to: sparse)  // [B, M, D]
    if let positions = run.positionsAgain {
      // Pooling is linear: the pooled sum is the sum of the pooled.
      let pooled = try run.compute.adaptiveAveragePool(  // [1, M, D]
        positions.reshaped([1, dense.count, positions.shape.columns]), from: dense, to: sparse)
      try run.compute.broadcastAdd(s, pooled.reshaped([sparse.count, pooled.shape.columns]))
    }
    try body.attend(s, to: x, m, run)
    let perText = try run.perText(s)
    try body.readText(perText, run)
    try body.feedForward(perText, m, run)
    return perText
  }
}

/// The block that leads back: the dense tokens that entered the module, merged with what the sparse
/// ones have become, read those.
struct DenseTokenRecovery {
  let body: BlockBody

  /// x `[B, N, D]` (may change), s `[B, M, D]` → the new x `[B, N, D]`.
  func forward(
    _ x: Tensor, _ s: Tensor, _ run: BlockRun
  ) throws(SparseDiTError) -> Tensor {
    let m = run.modulation(of: body)
    let merged = try merge(run.perText(x), s, run)  // [B, N, D]
    if let positions = run.positionsAgain { try run.compute.broadcastAdd(merged, positions) }
    try body.attend(merged, to: s, m, run)
    try body.readText(merged, run)
    try body.feedForward(merged, m, run)
    return merged
  }

  /// W1·upsample(s) + b + W2·x. W1 goes first: it commutes with upsampling, and M < N rows are
  /// cheaper. A checkpoint trained dense has W1 = 0 and W2 = identity: merged is x.
  private func merge(_ x: Tensor, _ s: Tensor, _ run: BlockRun) throws(SparseDiTError) -> Tensor {
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
