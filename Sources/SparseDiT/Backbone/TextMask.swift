import Tensors

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
