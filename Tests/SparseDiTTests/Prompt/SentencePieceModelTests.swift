import Tensors
import Testing

@testable import SparseDiT

/// What would end libsentencepiece, or lead it out of its memory, is found before.
@Suite struct SentencePieceModelTests {
  private typealias Piece = SentencePieceModel.Piece

  private static func model(_ more: [SentencePieceModel.Piece] = []) -> SentencePieceModel {
    var model = SentencePieceModel()
    model.pieces =
      [
        .init(text: "<pad>", kind: .control), .init(text: "</s>", kind: .control),
        .init(text: "<unk>", kind: .unknown), .init(text: "\u{2581}a", score: -1),
      ] + more
    return model
  }

  @Test(
    arguments: [
      ([.init(text: "")], "piece 4 has no text that is valid UTF-8"),
      ([.init(text: "a\0b")], "piece 4 has a NUL in it"),
      (
        [.init(text: String(repeating: "é", count: 257))], "piece 4 has 514 bytes (at most 512)"
      ), ([.init(text: "b", score: .nan)], "piece 4 has the score nan"),
      ([.init(text: "b", score: -.infinity)], "piece 4 has the score -inf"),
      (
        [.init(text: "b"), .init(text: "b", kind: .userDefined)],
        "piece 5, \"b\", is there twice"
      ), ([.init(text: "</s>", kind: .control)], "piece 4, \"</s>\", is there twice"),
      ([.init(text: "?", kind: .unknown)], "pieces 2 and 4 are both for the unknown"),
      ([.init(text: "<0x00>", kind: .byte)], "has pieces for bytes, but does not use them"),
      (
        (1...33).map { .init(text: String(repeating: "a", count: $0), kind: .userDefined) },
        "more than 32 user-defined pieces begin one another"
      ),
    ] as [([SentencePieceModel.Piece], String)])
  func refuses(pieces: [SentencePieceModel.Piece], message: String) throws {
    #expect(
      try error { try Self.model(pieces).check(name: "m") } == .invalidData("m: " + message))
  }

  @Test func refusesModelsWithoutWhatEachHas() throws {
    var model = Self.model()
    model.pieces.remove(at: 2)
    #expect(
      try error { try model.check(name: "m") }
        == .invalidData("m: has no piece for the unknown"))
    model.pieces = [.init(text: "<unk>", kind: .unknown)]
    #expect(
      try error { try model.check(name: "m") }
        == .invalidData("m: is not a SentencePiece model (it has no pieces)"))
    model = Self.model((0..<255).map { .init(text: SentencePieceModel.bytePiece($0), kind: .byte) })
    model.fallsBackToBytes = true
    #expect(
      try error { try model.check(name: "m") }
        == .invalidData("m: has no pieces for all bytes, <0x00> to <0xFF>"))
  }

  /// The library takes what is legal: texts that look the same, one piece of either sort, and
  /// user-defined pieces that begin one another.
  @Test func takesWhatIsLegal() throws {
    let model = Self.model(
      [
        .init(text: "é"), .init(text: "e\u{301}"), .init(text: "</s>"), .init(text: "b", score: -9),
        .init(text: "d", kind: .unused),
      ] + (1...32).map { .init(text: String(repeating: "x", count: $0), kind: .userDefined) })
    try model.check(name: "m")
    let processor = try SentencePieceProcessor(model, name: "m")
    #expect(try processor.encode("ae\u{301}éb") == [3, 5, 4, 7])
    #expect(try processor.encode("a" + String(repeating: "x", count: 32)) == [3, 40])
    #expect(try processor.encode("ad\u{1F600}") == [3, 2])
  }

  /// Their sums are infinite, but every text still has ids.
  @Test func takesScoresAtTheEndsOfTheRange() throws {
    let model = Self.model([
      .init(text: "b", score: -.greatestFiniteMagnitude),
      .init(text: "c", score: .greatestFiniteMagnitude), .init(text: "d", kind: .userDefined),
    ])
    try model.check(name: "m")
    let processor = try SentencePieceProcessor(model, name: "m")
    #expect(try processor.encode("abbbcccddd?") == [3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 2])
  }
}
