import Tensors

/// Tokenizer and text encoder of a model that draws from text.
package struct PromptEncoder: Sendable {
  package let tokenizer: Tokenizer
  package let encoder: T5Encoder

  init(
    _ config: T5Config, _ folder: ModelFolder, precision: Precision, budget: WeightBudget
  ) throws(SparseDiTError) {
    tokenizer = try Tokenizer(folder, vocabulary: config.vocabulary)
    encoder = try T5Encoder(config, folder, precision: precision, budget: budget)
  }

  /// Text features of prompts that have been cut to the same length.
  ///
  /// - Returns: f32 `[B, L, C]`, L being the tokens of the longest prompt, and the mask `[B, L]` of
  ///   1 for a token and 0 for padding.
  func encode(
    _ prompts: [TokenizedPrompt], on compute: Compute,
    checkCancelled: () throws(SparseDiTError) -> Void
  ) throws(SparseDiTError) -> (features: Tensor, mask: [Int32]) {
    // Nothing reads the padding.
    let length = prompts.map(\.length).max() ?? 1
    let mask = prompts.flatMap { $0.mask.prefix(length) }
    let features = try encoder.encode(
      ids: prompts.flatMap { $0.ids.prefix(length) }, mask: mask, batch: prompts.count,
      length: length, on: compute, checkCancelled: checkCancelled)
    try encoder.weights.checkFinite(features, "text encoder", on: compute)
    return (features, mask)
  }
}
