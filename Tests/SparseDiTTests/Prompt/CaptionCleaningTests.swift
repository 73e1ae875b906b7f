import Foundation
import Testing

@testable import SparseDiT

/// Equal to diffusers, ftfy and Beautiful Soup, character by character; see
/// Tests/Golden/make_caption_golden.py.
@Suite struct CaptionCleaningTests {
  private struct Golden: Decodable {
    /// By kind, pairs of a caption and what it becomes.
    let cleaned: [String: [[String]]]
    let text: [[String]]
    let repaired: [[String]]
  }

  private static let golden = Result {
    let path = GoldenData.root.appending(path: "captions/captions.json")
    return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: path))
  }

  private func expectEqual(_ pairs: [[String]], _ function: (String) -> String) {
    for pair in pairs {
      // Not the strings: those are equal when they look the same.
      let found = function(pair[0])
      #expect(
        found.unicodeScalars.elementsEqual(pair[1].unicodeScalars),
        "\(pair[0].debugDescription) became \(found.debugDescription)")
    }
  }

  @Test(
    arguments: [
      "mojibake", "html", "entities", "addresses", "ideographs", "punctuation", "words", "prompts",
      "mixed",
    ])
  func cleansAsDiffusers(kind: String) throws {
    let pairs = try #require(try Self.golden.get().cleaned[kind])
    #expect(Set(pairs.map { $0[0] }).count >= 200)
    expectEqual(pairs, CaptionCleaning.cleaned)
  }

  @Test func readsHTMLAsBeautifulSoup() throws {
    let pairs = try Self.golden.get().text
    #expect(pairs.count >= 400)
    expectEqual(pairs) { HTMLText.text(of: Array($0.unicodeScalars)).string }
  }

  @Test func repairsAsFtfy() throws {
    let pairs = try Self.golden.get().repaired
    #expect(pairs.count >= 600)
    expectEqual(pairs) { TextRepair.repaired(Array($0.unicodeScalars)).string }
  }

  /// What a reader of docs/captions.md may want to see; each checked with diffusers.
  @Test(
    arguments: [
      ("  A Red HOUSE\t\n", "a red house"),
      ("a cat (best quality), [4k] / art,detailed", "a cat best quality , 4k art, detailed"),
      ("100%25+cotton", "100% cotton"), ("&lt;b&gt;bold&lt;/b&gt;", "bold< b>"),
      ("\\n\\nx", "x"), ("", ""), ("\u{2028}", ""), ("…", "…"), ("'", ""),
    ])
  func cleansKnownCaptions(caption: String, cleaned: String) {
    #expect(CaptionCleaning.cleaned(caption).unicodeScalars.elementsEqual(cleaned.unicodeScalars))
  }

  /// Captions as long as they may be, of what keeps a parser busy that tries everything again and
  /// again: the result is `unit` as many times, with spaces between if `isSpaced`. Checked with
  /// diffusers on shorter ones.
  @Test(
    arguments: [
      ("a.com.", 10922, ".", 1, false), ("<!--", 16384, "<!", 16384, true),
      ("<a b=", 13107, "<a b=", 13107, false), ("</", 32768, "<", 32768, true),
      ("&#", 32768, "", 0, false), (".png", 16384, "", 0, false), ("#x", 32768, "x", 32768, true),
      ("<script>", 8192, "", 0, false), ("</b><b>", 9362, "", 0, false),
      ("\u{E3}\u{83}", 16384, "\u{E3}\u{192}", 16384, false),
      ("a\u{301}\u{323}", 13107, "\u{1EA1}\u{301}", 13107, false),
      ("%c3%", 16384, "\u{FFFD}%", 16384, false), (" . ", 21845, ".", 5462, true),
      ("\u{FF06}amp;", 9362, "", 0, false),
    ] as [(String, Int, String, Int, Bool)])
  func endsWithLongCaptions(
    piece: String, count: Int, unit: String, times: Int, isSpaced: Bool
  ) {
    let found = CaptionCleaning.cleaned(String(repeating: piece, count: count))
    let expected = [String](repeating: unit, count: times).joined(separator: isSpaced ? " " : "")
    #expect(found.unicodeScalars.elementsEqual(expected.unicodeScalars))
  }

  /// Neither what is no character nor a number in any base ends the process.
  @Test func takesAnything() {
    var random = MutationTests.Random(state: 7)
    let pieces = ["&#", "&#x", "%", "<", "</", "<!", "<![", "Ã", "â€", "\u{1B}[", "À\n", "\r", ";"]
    for _ in 0..<3000 {
      var caption = ""
      for _ in 0..<Int.random(in: 0..<12, using: &random) {
        if Int.random(in: 0..<3, using: &random) == 0 {
          caption += pieces.randomElement(using: &random) ?? ""
        } else if let scalar = Unicode.Scalar(UInt32(Int.random(in: 0..<0x110000, using: &random)))
        {
          caption.unicodeScalars.append(scalar)
        } else {
          caption += String(Int.random(in: 0..<(1 << 40), using: &random), radix: 16)
        }
      }
      let once = CaptionCleaning.cleaned(caption)
      #expect(!once.unicodeScalars.contains("\0"), "\(caption.debugDescription)")
      #expect(once == CaptionCleaning.cleaned(caption))
    }
  }
}
