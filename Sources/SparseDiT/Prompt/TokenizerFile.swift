import Tensors

/// `tokenizer.json`, as transformers 5 saves a T5 tokenizer instead of `spiece.model`.
struct TokenizerFile {
  /// What the file describes, as a SentencePiece model, without T5's sentinels.
  private(set) var model = SentencePieceModel()
  /// Texts that stand for an id wherever they occur.
  private(set) var added: [(text: String, id: Int)] = []
  /// Ids of the model and the sentinels behind it.
  private(set) var vocabularySize = 0
  /// Whether all white space separates words, not just what the normalizer turns into spaces.
  private(set) var splitsAtWhiteSpace = false
  private let name: String

  /// - Throws: `invalidData` when the file is damaged, `unsupported` when it describes a tokenizer
  ///   of another kind than SentencePiece's.
  init(_ file: FileBytes) throws(SparseDiTError) {
    name = file.name
    let root = try ConfigObject(file: file)
    let unigram = try required(root, "model")
    _ = try unigram.string("type", oneOf: ["Unigram"])
    try readNormalizer(root.object("normalizer"))
    try readPreTokenizer(root.object("pre_tokenizer"))
    let vocabulary = try unigram.pairs("vocab", count: 1...SentencePieceModel.maximumPieces)
    vocabularySize = vocabulary.count
    model.fallsBackToBytes = try unigram.bool("byte_fallback", default: false)
    let unknown = try unigram.int("unk_id", in: 0...vocabulary.count - 1)
    let special = try readAdded(root)
    for (text, id) in added where id < vocabulary.count && vocabulary[id].0 != text {
      throw .invalidData(
        "\(name): the added token \(id), \(JSONValue.quoted(text)), is "
          + "\(JSONValue.quoted(vocabulary[id].0)) in the vocabulary")
    }
    for (id, (text, score)) in vocabulary.enumerated() {
      let kind: SentencePieceModel.Kind =
        switch special[id] {
        case _ where id == unknown: .unknown
        case true?: .control
        case false?: .userDefined
        case nil: model.fallsBackToBytes && Self.isByte(text) ? .byte : .normal
        }
      model.pieces.append(.init(text: text, score: Float(score), kind: kind))
    }
    while let last = model.pieces.last, Self.isSentinel(last.text) { model.pieces.removeLast() }
    try model.check(name: name)
  }

  private func required(
    _ object: ConfigObject, _ key: String
  ) throws(SparseDiTError) -> ConfigObject {
    guard let value = try object.object(key) else {
      throw .invalidData("\(name): \(key) is missing (expected an object)")
    }
    return value
  }

  private static func isSentinel(_ text: String) -> Bool {
    text.hasPrefix("<extra_id_") && text.hasSuffix(">")
  }

  private static func isByte(_ text: String) -> Bool {
    text.utf8.count == 6 && text.hasPrefix("<0x") && text.hasSuffix(">")
  }

  /// A precompiled character map, alone or with what SentencePiece does by itself: to strip the ends
  /// and to join spaces.
  private mutating func readNormalizer(_ object: ConfigObject?) throws(SparseDiTError) {
    guard let object else { return }
    switch try object.string(
      "type", oneOf: ["Precompiled", "Sequence", "Strip", "Replace"])
    {
    case "Precompiled":
      guard let map = base64Decoded(try object.string("precompiled_charsmap")) else {
        throw .invalidData("\(name): the normalizer's precompiled_charsmap is not base64")
      }
      model.normalizer.characterMap = map
    case "Replace":
      let pattern = try object.object("pattern")?.string("Regex", default: "")
      guard pattern == " {2,}", try [" ", "▁"].contains(object.string("content")) else {
        throw .unsupported(
          "\(name): a normalizer that replaces other than runs of spaces is not supported")
      }
    case "Sequence":
      for part in try object.objects("normalizers", count: 0...16) { try readNormalizer(part) }
    default: break
    }
  }

  /// Words that begin with `▁`, cut at white space or at spaces.
  private mutating func readPreTokenizer(_ object: ConfigObject?) throws(SparseDiTError) {
    guard let object, try marksWords(object) else {
      throw .unsupported(
        "\(name): a tokenizer without a pre_tokenizer that marks where words begin is not supported"
      )
    }
  }

  private mutating func marksWords(_ object: ConfigObject) throws(SparseDiTError) -> Bool {
    switch try object.string("type", oneOf: ["Metaspace", "WhitespaceSplit", "Sequence"]) {
    case "Metaspace":
      _ = try object.string("replacement", oneOf: ["▁"], default: "▁")
      _ = try object.string("prepend_scheme", oneOf: ["always", "first"], default: "always")
      return true
    case "WhitespaceSplit":
      splitsAtWhiteSpace = true
      return false
    default:
      var marks = false
      for part in try object.objects("pretokenizers", count: 0...16) where try marksWords(part) {
        marks = true
      }
      return marks
    }
  }

  /// Which ids are added tokens, and whether these are special.
  private mutating func readAdded(_ root: ConfigObject) throws(SparseDiTError) -> [Int: Bool] {
    var special: [Int: Bool] = [:]
    guard root.contains("added_tokens") else { return special }
    for token in try root.objects("added_tokens", count: 0...SentencePieceModel.maximumPieces) {
      let id = try token.int("id", in: 0...SentencePieceModel.maximumPieces)
      let text = try token.string("content")
      guard try !token.bool("single_word", default: false) else {
        throw .unsupported(
          "\(name): the added token \(JSONValue.quoted(text)) with single_word is not supported")
      }
      guard special.updateValue(try token.bool("special", default: false), forKey: id) == nil else {
        throw .invalidData("\(name): two added tokens have the id \(id)")
      }
      added.append((text, id))
      vocabularySize = max(vocabularySize, id + 1)
    }
    return special
  }
}

/// The bytes of base64 text with padding; nil when it is not that.
func base64Decoded(_ text: String) -> [UInt8]? {
  let characters = text.utf8
  guard characters.count % 4 == 0 else { return nil }
  let padding = characters.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
  var bytes: [UInt8] = []
  bytes.reserveCapacity(characters.count / 4 * 3)
  var (bits, filled): (UInt32, Int) = (0, 0)
  for character in characters.dropLast(padding) {
    let value: UInt8
    switch character {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = character - UInt8(ascii: "A")
    case UInt8(ascii: "a")...UInt8(ascii: "z"): value = character - UInt8(ascii: "a") + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0") + 52
    case UInt8(ascii: "+"): value = 62
    case UInt8(ascii: "/"): value = 63
    default: return nil
    }
    bits = bits << 6 | UInt32(value)
    filled += 6
    if filled >= 8 {
      filled -= 8
      bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(filled)))
    }
  }
  return bytes
}
