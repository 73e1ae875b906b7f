import Tensors

/// Token ids of one caption, padded to a fixed length.
package struct TokenizedPrompt: Sendable, Equatable {
  /// Token ids: the text, the end-of-sequence token, padding.
  package let ids: [Int32]
  /// 1 for a token, 0 for padding; as many as `ids`.
  package let mask: [Int32]
}

/// Captions to T5 token ids, equal to those of transformers' `T5Tokenizer`.
///
/// The SentencePiece model file is read here and not by libsentencepiece, whose ids differ from those
/// of transformers for runs of one character, some combining marks, and bytes for unknown characters.
///
/// Immutable; may be used from several threads.
package struct Tokenizer: Sendable {
  /// Number of different ids.
  package let vocabularySize: Int
  /// Ids without T5's sentinels, which are the last.
  let pieceCount: Int
  private let characterMap: CharacterMap?
  private let model: UnigramModel
  /// Texts that stand for an id wherever they occur in a caption, such as `</s>`.
  private let verbatim: SortedPieces

  private static let padding: Int32 = 0
  private static let endOfSequence: Int32 = 1
  private static let unknown: Int32 = 2
  private static let leadingPieces = ["<pad>", "</s>", "<unk>"]
  /// T5's own number of sentinels.
  static let usualSentinels = 100
  /// Stands for the space before a word.
  private static let wordStart: Unicode.Scalar = "\u{2581}"

  /// - Parameters:
  ///   - file: the SentencePiece model, `tokenizer/spiece.model`.
  ///   - sentinels: how many of `<extra_id_0>`, `<extra_id_1>` … are appended to the model's pieces,
  ///     the highest number first.
  ///   - vocabulary: ids that the text encoder knows. A sentinel beyond them is text like any other.
  /// - Throws: `invalidData` when the bytes are not a SentencePiece model, `unsupported` when it is
  ///   not a unigram model or its first pieces are not those of T5.
  package init(
    model file: FileBytes, sentinels: Int = Self.usualSentinels, vocabulary: Int = .max
  ) throws(SparseDiTError) {
    let model = try SentencePieceModel(file)
    for (id, piece) in Self.leadingPieces.enumerated()
    where id >= model.pieces.count || model.pieces[id] != piece {
      throw .unsupported(
        "\(file.name): is not a T5 vocabulary: piece \(id) must be \"\(piece)\"")
    }
    let sentinels = (0..<sentinels).reversed().map { "<extra_id_\($0)>" }
      .prefix(max(vocabulary - model.pieces.count, 0))
    let pieces = model.pieces + sentinels
    let scores = model.scores + [Float](repeating: 0, count: sentinels.count)
    vocabularySize = pieces.count
    pieceCount = model.pieces.count
    self.model = UnigramModel(pieces: pieces, scores: scores, unknownID: Self.unknown)
    let verbatimIDs =
      Set(model.verbatimIDs).union(Self.leadingPieces.indices).union(
        model.pieces.count..<pieces.count)
    verbatim = SortedPieces(pieces, where: verbatimIDs.contains)
    characterMap =
      model.characterMap.isEmpty ? nil : try CharacterMap(model.characterMap, name: file.name)
  }

  /// The ids of a caption as it is; see ``Caption`` for the cleaning that comes before.
  /// - Parameter maxLength: length of the result, at least 1. A longer caption is cut so that the
  ///   end-of-sequence token is the last one.
  package func encode(_ caption: String, maxLength: Int) -> TokenizedPrompt {
    let text = textIDs(caption).prefix(max(maxLength - 1, 0))
    let padding = max(maxLength - text.count - 1, 0)
    return TokenizedPrompt(
      ids: text + [Self.endOfSequence] + [Int32](repeating: Self.padding, count: padding),
      mask: [Int32](repeating: 1, count: text.count + 1) + [Int32](repeating: 0, count: padding))
  }

  /// The ids of the text alone, of any length.
  func textIDs(_ caption: String) -> [Int32] {
    let utf8 = Array(caption.utf8)
    var ids: [Int32] = []
    var plainStart = 0
    var position = 0
    while position < utf8.count {
      guard let (id, length) = verbatim.longestPrefix(of: utf8[position...]) else {
        position += 1
        continue
      }
      appendWords(of: utf8[plainStart..<position], to: &ids)
      ids.append(id)
      position += length
      plainStart = position
    }
    appendWords(of: utf8[plainStart...], to: &ids)
    return ids
  }

  /// Normalises a stretch of text, cuts it into words at white space and at `▁`, and encodes each.
  private func appendWords(of utf8: ArraySlice<UInt8>, to ids: inout [Int32]) {
    let text = String(decoding: utf8, as: UTF8.self)
    let normalized = characterMap?.apply(to: text) ?? text
    for word in normalized.unicodeScalars.split(whereSeparator: \.properties.isWhitespace) {
      var piece: [UInt8] = []
      for (index, scalar) in word.enumerated() {
        if index == 0 || scalar == Self.wordStart {
          if !piece.isEmpty { ids.append(contentsOf: model.encode(piece)) }
          piece = Array(String(Self.wordStart).utf8)
        }
        if scalar != Self.wordStart { piece.append(contentsOf: String(scalar).utf8) }
      }
      ids.append(contentsOf: model.encode(piece))
    }
  }
}
