import Tensors

/// The modulation of one forward. G, the rows of its tensors, is 1 or the batch.
package struct ForwardModulation {
  /// One per block, bottom first.
  let blocks: [Modulation]
  /// Of the last norm, f32 `[G, D]`.
  let outputShift, outputScale: Tensor

  /// Cuts the rows of several forwards apart.
  ///
  /// - Parameters:
  ///   - blocks: f32 `[T·G, 6·D]` per block, bottom first.
  ///   - outputShift, outputScale: f32 `[T·G, D]`.
  static func split(
    _ count: Int, blocks: [Tensor], outputShift: Tensor, outputScale: Tensor
  ) -> [ForwardModulation] {
    let groups = outputScale.shape.rows / max(count, 1)
    return (0..<count).map { index in
      let rows = index * groups..<(index + 1) * groups
      return ForwardModulation(
        blocks: blocks.map { Modulation($0.rows(rows)) }, outputShift: outputShift.rows(rows),
        outputScale: outputScale.rows(rows))
    }
  }

  /// G.
  var rows: Int { outputScale.shape.rows }
}

/// What one block does to its norms and residuals: each f32 `[G, D]`, G = 1 or the batch.
struct Modulation {
  let attentionShift, attentionScale, attentionGate: Tensor
  let feedForwardShift, feedForwardScale, feedForwardGate: Tensor

  /// From `[G, 6·D]` in the order of the properties.
  init(_ values: Tensor) {
    let width = values.shape.columns / 6
    func part(_ index: Int) -> Tensor { values.columns(index * width..<(index + 1) * width) }
    attentionShift = part(0)
    attentionScale = part(1)
    attentionGate = part(2)
    feedForwardShift = part(3)
    feedForwardScale = part(4)
    feedForwardGate = part(5)
  }
}
