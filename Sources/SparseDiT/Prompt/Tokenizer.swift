import Tensors

/// Token ids of one caption, padded to a fixed length.
package struct TokenizedPrompt: Sendable, Equatable {
  /// Token ids: the text, the end-of-sequence token, padding.
  package let ids: [Int32]
  /// 1 for a token, 0 for padding; as many as `ids`.
  package let mask: [Int32]

  /// Tokens without the padding behind them.
  package var length: Int { mask.count { $0 != 0 } }
}

/// Captions to T5 token ids: libsentencepiece, and around it what transformers' `T5Tokenizer` adds.
///
/// docs/tokenizer.md lists where the ids differ from those of transformers.
///
/// Immutable; may be used from several threads.
package struct Tokenizer: Sendable {
  /// Number of different ids.
  package let vocabularySize: Int
  /// Ids without T5's sentinels, which are the last.
  let pieceCount: Int
  /// What messages call the tokenizer's file.
  let name: String
  /// What the user should know about the tokenizer, in one line.
  let advice: String?
  /// How often a prompt was cut into tokens.
  package let uses = UseCount()
  private let processor: SentencePieceProcessor
  private let verbatim: VerbatimTokens
  /// White space that is not a space to the model, but separates words nevertheless.
  private let spaces: Set<Unicode.Scalar>

  private static let padding: Int32 = 0
  private static let endOfSequence: Int32 = 1
  private static let leadingPieces = ["<pad>", "</s>", "<unk>"]
  /// T5's own number of sentinels.
  static let usualSentinels = 100

  /// - Parameters:
  ///   - file: the SentencePiece model, `spiece.model`.
  ///   - sentinels: how many of `<extra_id_0>`, `<extra_id_1>` … are appended to the model's pieces,
  ///     the highest number first.
  ///   - vocabulary: ids that the text encoder knows. A sentinel beyond them is text like any other.
  /// - Throws: `invalidData` when the bytes are not a SentencePiece model, or a damaged one;
  ///   `unsupported` when it is not a unigram model or its first pieces are not those of T5;
  ///   `notFound` when libsentencepiece is not installed.
  package init(
    model file: FileBytes, sentinels: Int = Self.usualSentinels, vocabulary: Int = .max
  ) throws(SparseDiTError) {
    let model = try SentencePieceModel(file)
    let sentinels = (0..<sentinels).reversed().map { "<extra_id_\($0)>" }
      .prefix(max(vocabulary - model.pieces.count, 0))
    let special = model.pieces.enumerated().filter { id, piece in
      id < Self.leadingPieces.count || piece.kind == .control || piece.kind == .userDefined
    }
    try self.init(
      model,
      verbatim: special.map { ($1.text, $0) }
        + sentinels.enumerated().map { ($1, model.pieces.count + $0) },
      vocabularySize: model.pieces.count + sentinels.count, name: file.name)
  }

  /// - Parameters:
  ///   - file: `tokenizer.json`.
  ///   - vocabulary: ids that the text encoder knows. An added token beyond them is text.
  /// - Throws: as `init(model:)`, `unsupported` also for a tokenizer of another kind than T5's.
  package init(json file: FileBytes, vocabulary: Int = .max) throws(SparseDiTError) {
    let json = try TokenizerFile(file)
    let map = json.model.normalizer.characterMap
    let mapped = try CharacterMap(map, name: file.name)
    try self.init(
      json.model, verbatim: json.added.filter { $0.id < vocabulary },
      vocabularySize: min(json.vocabularySize, max(vocabulary, json.model.pieces.count)),
      spaces: json.splitsAtWhiteSpace ? Self.whiteSpace.filter { !mapped.maps($0) } : [],
      advice: map.isEmpty
        ? "\(file.name): has no normalizer, so prompts are read as they are written; "
          + "T5 was trained with one (NFKC), which spiece.model has" : nil,
      name: file.name)
  }

  private init(
    _ model: SentencePieceModel, verbatim: [(text: String, id: Int)], vocabularySize: Int,
    spaces: Set<Unicode.Scalar> = [], advice: String? = nil, name: String
  ) throws(SparseDiTError) {
    for (id, piece) in Self.leadingPieces.enumerated()
    where id >= model.pieces.count || model.pieces[id].text != piece {
      throw .unsupported("\(name): is not a T5 vocabulary: piece \(id) must be \"\(piece)\"")
    }
    self.vocabularySize = vocabularySize
    pieceCount = model.pieces.count
    self.name = name
    self.advice = advice
    self.spaces = spaces
    self.verbatim = try VerbatimTokens(verbatim, name: name)
    processor = try SentencePieceProcessor(model, name: name)
  }

  /// The ids of a prompt as the model was trained to see it: cleaned, cut and padded.
  /// - Parameter maxLength: as in ``encode(_:maxLength:)``.
  package func read(
    _ prompt: String, maxLength: Int
  ) throws(SparseDiTError) -> TokenizedPrompt {
    try encode(Caption.cleaned(prompt), maxLength: maxLength)
  }

  /// The ids of a caption as it is; see ``Caption`` for the cleaning that comes before.
  /// - Parameter maxLength: length of the result, at least 1. A longer caption is cut so that the
  ///   end-of-sequence token is the last one.
  /// - Throws: `outOfMemory`, `internalFailure` when libsentencepiece fails.
  package func encode(
    _ caption: String, maxLength: Int
  ) throws(SparseDiTError) -> TokenizedPrompt {
    uses.add()
    let text = try textIDs(caption).prefix(max(maxLength - 1, 0))
    let padding = max(maxLength - text.count - 1, 0)
    return TokenizedPrompt(
      ids: text + [Self.endOfSequence] + [Int32](repeating: Self.padding, count: padding),
      mask: [Int32](repeating: 1, count: text.count + 1) + [Int32](repeating: 0, count: padding))
  }

  /// The ids of the text alone, of any length.
  func textIDs(_ caption: String) throws(SparseDiTError) -> [Int32] {
    var ids: [Int32] = []
    for part in verbatim.split(caption) {
      switch part {
      case .token(let id): ids.append(id)
      case .text(let text): ids += try processor.encode(withSpaces(text))
      }
    }
    return ids
  }

  /// The text with a space for each character of `spaces`.
  private func withSpaces(_ text: Substring) -> Substring {
    guard text.unicodeScalars.contains(where: spaces.contains) else { return text }
    var result = Substring.UnicodeScalarView()
    result.append(contentsOf: text.unicodeScalars.lazy.map { spaces.contains($0) ? " " : $0 })
    return Substring(result)
  }

  /// Unicode's White_Space other than the space.
  private static var whiteSpace: Set<Unicode.Scalar> {
    Set(
      (0x9...0x3000).lazy.compactMap { Unicode.Scalar($0) }
        .filter { $0.properties.isWhitespace && $0 != " " })
  }
}
