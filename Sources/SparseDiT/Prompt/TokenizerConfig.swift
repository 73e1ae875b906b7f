import Tensors

extension Tokenizer {
  /// The tokenizer of a pipeline folder: `tokenizer/spiece.model`, with as many sentinels as
  /// `tokenizer/tokenizer_config.json` says; T5's own number where that is missing.
  ///
  /// - Parameter vocabulary: ids that the text encoder knows.
  /// - Throws: `notFound`, `invalidData` or `unsupported` naming the file and what is wrong in it;
  ///   `invalidData` also when it has more pieces than the text encoder has ids.
  init(_ folder: ModelFolder, vocabulary: Int) throws(SparseDiTError) {
    let path = "tokenizer/spiece.model"
    let config = "tokenizer/tokenizer_config.json"
    let sentinels =
      folder.contains(config)
      ? try folder.config(config).int("extra_ids", in: 0...1000, default: Self.usualSentinels)
      : Self.usualSentinels
    try self.init(model: folder.read(path), sentinels: sentinels, vocabulary: vocabulary)
    guard pieceCount <= vocabulary else {
      throw .invalidData(
        "\(folder.displayName(path)): its \(pieceCount) pieces are more than the text encoder's"
          + " vocab_size, \(vocabulary)")
    }
  }
}
