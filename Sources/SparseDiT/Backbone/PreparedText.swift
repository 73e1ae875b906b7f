import Tensors

/// What the blocks read of a prompt: the keys and values of every block's cross-attention. They do
/// not depend on the timestep, so they are made once per picture.
package struct PreparedText {
  /// B, the prompts.
  package let batch: Int
  /// L, the tokens that are left after dropping what every mask hides.
  package let length: Int
  /// Per block, bottom first: `[B, L, D]`.
  let keys: [Tensor]
  let values: [Tensor]
  let bias: AttentionBias?
  /// Sizes of the pictures, for models that read them: one for all or one per picture.
  let sizes: [PictureSize]
}

/// Turns text features into the width of the backbone: Ct → D → D with tanh GELU.
struct TextProjection: Sendable {
  let first: Linear
  let second: Linear

  init(_ reader: WeightReader, _ config: BackboneConfig, channels: Int) throws(SparseDiTError) {
    first = try reader.linear("caption_projection.linear_1", in: channels, out: config.width)
    second = try reader.linear("caption_projection.linear_2", in: config.width, out: config.width)
  }

  func forward(_ text: Tensor, on compute: Compute) throws(SparseDiTError) -> Tensor {
    try compute.linear(try compute.linear(text, first, activation: .gelu), second)
  }
}

/// Which tokens of a batch of prompts matter.
struct TextMask {
  /// Tokens from the first to the last that any prompt uses.
  let length: Int
  /// f32 `[B, length]`: 0 for a token, −10000 for padding; nil when nothing is hidden.
  let bias: Tensor?

  /// - Parameter mask: 1 for a token, 0 for padding; B rows of `length`.
  ///
  /// Hidden tokens at the end are dropped, which is exact: exp(−10000) is 0 in f32 as long as a
  /// token of the row is not hidden. A row that hides everything attends to all of it in diffusers'
  /// arithmetic, so then nothing is dropped.
  init(_ mask: [Float], batch: Int, length: Int) throws(SparseDiTError) {
    var used = 0
    for row in 0..<batch {
      let visible = mask[row * length..<(row + 1) * length].lastIndex { $0 != 0 }
      used = max(used, visible.map { $0 - row * length + 1 } ?? length)
    }
    self.length = used
    let kept = (0..<batch).flatMap { mask[$0 * length..<$0 * length + used] }
    bias =
      kept.allSatisfy { $0 == 1 }
      ? nil : try Tensor(kept.map { (1 - $0) * -10_000 }, [batch, used])
  }
}
