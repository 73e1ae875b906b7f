import Tensors

extension Tokenizer {
  /// The tokenizer of a pipeline folder: `tokenizer/spiece.model`, with as many sentinels as
  /// `tokenizer/tokenizer_config.json` says and T5's own number where that is missing; or else what
  /// transformers 5 saves, `tokenizer/tokenizer.json`.
  ///
  /// - Parameter vocabulary: ids that the text encoder knows.
  /// - Throws: `notFound`, `invalidData` or `unsupported` naming the file and what is wrong in it;
  ///   `invalidData` also when it has more pieces than the text encoder has ids.
  init(_ folder: ModelFolder, vocabulary: Int) throws(SparseDiTError) {
    let (model, json) = ("tokenizer/spiece.model", "tokenizer/tokenizer.json")
    if !folder.contains(model), folder.contains(json) {
      try self.init(json: folder.read(json), vocabulary: vocabulary)
    } else {
      try self.init(
        model: folder.read(model), sentinels: Self.sentinels(folder), vocabulary: vocabulary)
    }
    guard pieceCount <= vocabulary else {
      throw .invalidData(
        "\(name): its \(pieceCount) pieces are more than the text encoder's vocab_size,"
          + " \(vocabulary)")
    }
  }

  private static func sentinels(_ folder: ModelFolder) throws(SparseDiTError) -> Int {
    let config = "tokenizer/tokenizer_config.json"
    guard folder.contains(config) else { return usualSentinels }
    return try folder.config(config).int("extra_ids", in: 0...1000, default: usualSentinels)
  }
}
