import Tensors

extension Tokenizer {
  /// The tokenizer of a pipeline folder: `tokenizer/spiece.model`, with as many sentinels as
  /// `tokenizer/tokenizer_config.json` says and T5's own number where that is missing; or else what
  /// transformers 5 saves, `tokenizer/tokenizer.json`. What else the configuration says does not
  /// matter, or is refused: prompts are cut to as many tokens as the model was trained with, whatever
  /// `model_max_length` is, and no tokens can be added to a vocabulary.
  ///
  /// - Parameter vocabulary: ids that the text encoder knows.
  /// - Throws: `notFound`, `invalidData` or `unsupported` naming the file and what is wrong in it;
  ///   `invalidData` also when it has more pieces than the text encoder has ids.
  init(_ folder: ModelFolder, vocabulary: Int) throws(SparseDiTError) {
    let (model, json) = ("tokenizer/spiece.model", "tokenizer/tokenizer.json")
    if !folder.contains(model), folder.contains(json) {
      try self.init(json: folder.read(json), vocabulary: vocabulary)
    } else {
      let configPath = "tokenizer/tokenizer_config.json"
      let config = folder.contains(configPath) ? try folder.config(configPath) : nil
      let sentinels =
        try config?.int("extra_ids", in: 0...1000, default: Self.usualSentinels)
        ?? Self.usualSentinels
      try self.init(model: folder.read(model), sentinels: sentinels, vocabulary: vocabulary)
      if let config { try checkAddedTokens(config) }
    }
    guard pieceCount <= vocabulary else {
      throw .invalidData(
        "\(name): its \(pieceCount) pieces are more than the text encoder's vocab_size,"
          + " \(vocabulary)")
    }
  }

  /// - Throws: `unsupported` for a token that is neither T5's nor a sentinel.
  private func checkAddedTokens(_ config: ConfigObject) throws(SparseDiTError) {
    guard let added = try config.object("added_tokens_decoder") else { return }
    for key in added.keys {
      let token = try added.object(key)?.string("content") ?? ""
      let isKnown = try textIDs(token).map(String.init) == [key] || token.hasPrefix("<extra_id_")
      guard isKnown else {
        throw .unsupported(
          "\(config.name): added_tokens_decoder.\(key): \(JSONValue.quoted(token)) is not a token of"
            + " T5 (added tokens are not supported)")
      }
    }
  }
}
