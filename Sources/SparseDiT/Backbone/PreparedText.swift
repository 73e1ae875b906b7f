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
