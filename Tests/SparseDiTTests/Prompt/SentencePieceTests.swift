import Tensors
import Testing

@testable import SparseDiT

/// Ids are compared with those of the Python package sentencepiece; see
/// Tests/Golden/make_tokenizer_golden.py.
@Suite struct SentencePieceTests {
  private struct Golden: Decodable {
    let strings: [String]
    /// Ids of the first strings.
    let models: [String: [[Int32]]]
  }

  /// - Parameter ties: most strings in which two ways to write a long run of a character are equally
  ///   likely, and the package, which is a later version, takes the other one: until 0.2.1 the library
  ///   compared such sums in f64 with ones that it had rounded to f32.
  @Test(
    arguments: [
      ("nfkc", 6000, 0), ("bytes", 2500, 0), ("symbols", 2500, 0), ("suffix", 1500, 0),
      ("bare", 1500, 14),
    ])
  func idsEqualThePythonPackage(name: String, count: Int, ties: Int) throws {
    let golden: Golden = try TokenizerGolden.read("sentencepiece.json")
    let expected = try #require(golden.models[name])
    let model = try SentencePieceModel(TokenizerGolden.file(name + ".model"))
    let processor = try SentencePieceProcessor(model, name: name)
    func score(_ ids: [Int32]) -> Float { ids.reduce(0) { $0 + model.pieces[Int($1)].score } }
    var different = 0
    for (text, ids) in zip(golden.strings, expected) {
      let found = try processor.encode(text)
      guard found != ids else { continue }
      different += 1
      #expect(different <= ties, "\(text.debugDescription)")
      #expect(abs(score(found) - score(ids)) < 1e-4 * abs(score(ids)), "\(text.debugDescription)")
    }
    #expect(expected.count == count && golden.strings.count >= count)
    #expect(Set(golden.strings).count > 5000)
  }

  /// Longer than the first buffer: each character becomes several bytes.
  @Test func encodesTextThatBecomesLonger() throws {
    let bytes = try SentencePieceProcessor(
      SentencePieceModel(TokenizerGolden.file("bytes.model")), name: "bytes")
    let nfkc = try SentencePieceProcessor(
      SentencePieceModel(TokenizerGolden.file("nfkc.model")), name: "nfkc")
    // U+FDFA is one character of 18 in NFKC.
    for text in ["\u{FDFA}", String(repeating: "\u{FDFA}", count: 21_845)] {
      let count = text.unicodeScalars.count
      #expect(try bytes.encode(text).count == 1 + 3 * count)
      #expect(try nfkc.encode(text).count > 6 * count)
    }
    #expect(try nfkc.encode("").isEmpty && nfkc.encode("  \u{3000}\n").isEmpty)
  }

  /// The file that is written for the library has the same content.
  @Test(arguments: ["nfkc", "bytes", "symbols", "suffix", "bare"])
  func writesWhatItRead(model: String) throws {
    let original = try SentencePieceModel(TokenizerGolden.file(model + ".model"))
    let again = try original.serialized().withUnsafeBytes { raw in
      try SentencePieceModel(FileBytes(name: "again", embedded: raw))
    }
    #expect(again.pieces == original.pieces && again.normalizer == original.normalizer)
    #expect(again.fallsBackToBytes == (model == "bytes"))
    #expect(again.treatsWhitespaceAsSuffix == (model == "suffix"))
    #expect(again.normalizer.removesExtraWhitespaces == (model != "suffix"))
    #expect(again.normalizer.addsDummyPrefix == (model != "bare"))
  }
}
