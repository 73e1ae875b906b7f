import Tensors

/// A SentencePiece unigram model: its pieces, and what it does to a text before it looks for them.
///
/// What a file says is checked here. The library trusts its input, so it is given a model that is
/// written anew from what was checked. Version 0.1.97 follows the offsets of a table wherever they lead
/// (CVE-2026-1260).
struct SentencePieceModel: Sendable {
  /// What a piece is for; the numbers are those of sentencepiece_model.proto.
  enum Kind: UInt64, Sendable {
    case normal = 1
    case unknown, control, userDefined, unused, byte

    /// Whether a text is made of such pieces. The others are known by their text alone, which one of
    /// these may have as well.
    var isInText: Bool { self == .normal || self == .userDefined || self == .unused }
  }

  struct Piece: Sendable, Equatable {
    var text: String
    /// Log probability.
    var score: Float = 0
    var kind = Kind.normal
  }

  /// What is done to a text first. White space at its ends and runs of it are removed by default.
  struct Normalizer: Sendable, Equatable {
    /// The precompiled character map; empty when characters stay as they are.
    var characterMap: [UInt8] = []
    var addsDummyPrefix = true
    var removesExtraWhitespaces = true
    var escapesWhitespaces = true
  }

  /// Their place is their id.
  var pieces: [Piece] = []
  var normalizer = Normalizer()
  /// Whether characters without a piece become bytes instead of the unknown piece.
  var fallsBackToBytes = false
  var treatsWhitespaceAsSuffix = false

  /// Longer than the pieces of any trained model; bounds the time to encode a caption.
  private static let maximumPieceBytes = 512
  static let maximumPieces = 1 << 20
  /// How many of the pieces that stand for themselves may begin a text one inside another. The
  /// library has room for 64 and does not check.
  private static let maximumNesting = 32

  /// Finds every mistake that the library would stop at, or run into.
  /// - Parameter name: of the file.
  /// - Throws: `invalidData` that names the piece or the table.
  func check(name: String) throws(SparseDiTError) {
    func fail(_ message: String) -> SparseDiTError { .invalidData("\(name): \(message)") }
    guard pieces.contains(where: \.kind.isInText) else {
      throw fail("is not a SentencePiece model (it has no pieces)")
    }
    guard pieces.count <= Self.maximumPieces else {
      throw fail("has more than \(Self.maximumPieces) pieces")
    }
    // Not strings, since those are equal when they look the same.
    var seen: [Bool: Set<[UInt8]>] = [:]
    var unknown: Int?
    for (id, piece) in pieces.enumerated() {
      if let problem = Self.problem(of: piece) { throw fail("piece \(id) \(problem)") }
      guard seen[piece.kind.isInText, default: []].insert(Array(piece.text.utf8)).inserted else {
        throw fail("piece \(id), \(JSONValue.quoted(piece.text)), is there twice")
      }
      if piece.kind == .unknown {
        if let unknown { throw fail("pieces \(unknown) and \(id) are both for the unknown") }
        unknown = id
      }
    }
    guard unknown != nil else { throw fail("has no piece for the unknown") }
    try checkBytes(fail)
    try checkNesting(fail)
    _ = try CharacterMap(normalizer.characterMap, name: name)
  }

  /// What is wrong with a piece by itself.
  private static func problem(of piece: Piece) -> String? {
    let bytes = piece.text.utf8
    if bytes.isEmpty { return "has no text that is valid UTF-8" }
    if bytes.count > maximumPieceBytes {
      return "has \(bytes.count) bytes (at most \(maximumPieceBytes))"
    }
    if bytes.contains(0) { return "has a NUL in it" }
    return piece.score.isFinite ? nil : "has the score \(piece.score)"
  }

  /// Pieces for bytes must be complete, and there only where they are used.
  private func checkBytes(_ fail: (String) -> SparseDiTError) throws(SparseDiTError) {
    let texts = Set(pieces.lazy.filter { $0.kind == .byte }.map(\.text))
    guard fallsBackToBytes else {
      guard texts.isEmpty else { throw fail("has pieces for bytes, but does not use them") }
      return
    }
    guard texts == Set((0...255).map(Self.bytePiece)) else {
      throw fail("has no pieces for all bytes, \(Self.bytePiece(0)) to \(Self.bytePiece(255))")
    }
  }

  /// The text of the piece that stands for a byte.
  static func bytePiece(_ byte: Int) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return digits.count == 1 ? "<0x0\(digits)>" : "<0x\(digits)>"
  }

  private func checkNesting(_ fail: (String) -> SparseDiTError) throws(SparseDiTError) {
    var outer: [[UInt8]] = []
    let texts = pieces.lazy.filter { $0.kind == .userDefined }.map { Array($0.text.utf8) }
    for text in texts.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      while let last = outer.last, !text.starts(with: last) { outer.removeLast() }
      outer.append(text)
      guard outer.count <= Self.maximumNesting else {
        throw fail("more than \(Self.maximumNesting) user-defined pieces begin one another")
      }
    }
  }
}
