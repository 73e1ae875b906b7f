import Tensors

/// What all blocks share in one forward.
struct BlockRun {
  let compute: Compute
  let config: BackboneConfig
  /// One per block, bottom first.
  let modulations: [Modulation]
  /// Nil where the blocks read no text.
  let text: PreparedText?
  let plan: BackbonePlan
  /// f32 `[N, D]`, where the position table is to be added again with each change of density.
  let positionsAgain: Tensor?

  func modulation(of block: BlockBody) -> Modulation { modulations[block.depth] }

  /// Tokens for each of the B texts, of tokens that have read none so far and may be the same for all.
  func perText(_ x: Tensor) throws(SparseDiTError) -> Tensor {
    guard let text else { return x }
    return try compute.repeated(x, text.batch)
  }
}

extension Compute {
  /// x `[count, …]` itself, or `[1, …]` repeated `count` times.
  func repeated(_ x: Tensor, _ count: Int) throws(SparseDiTError) -> Tensor {
    x.shape[0] == count ? x : try concatenate(Array(repeating: x, count: count))
  }
}
