import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// Ids are compared with those of transformers; see Tests/Golden/make_tokenizer_golden.py.
struct TokenizerGolden: Decodable {
  let prompts: [String]
  let cleaned: [String]
  let models: [String: [[Int32]]]
  let paddedPrompt: String
  /// Length → ids, mask.
  let padded: [String: [[Int32]]]

  private enum CodingKeys: String, CodingKey {
    case prompts, cleaned, models, padded
    case paddedPrompt = "padded_prompt"
  }

  static let folder = GoldenData.root.appending(path: "tokenizer").path

  init() throws {
    let file = GoldenData.root.appending(path: "tokenizer/golden.json")
    self = try JSONDecoder().decode(TokenizerGolden.self, from: Data(contentsOf: file))
  }

  static func tokenizer(_ model: String) throws -> Tokenizer {
    try Tokenizer(model: ModelFolder(directory: folder).read(model + ".model"))
  }
}

@Suite struct TokenizerTests {
  @Test(arguments: ["nfkc", "bytes", "symbols"])
  func idsEqualTransformers(model: String) throws {
    let golden = try TokenizerGolden()
    let tokenizer = try TokenizerGolden.tokenizer(model)
    let expected = try #require(golden.models[model])
    for (text, ids) in zip(golden.cleaned, expected) {
      #expect(tokenizer.textIDs(text) + [1] == ids, "\(text.debugDescription)")
    }
    #expect(expected.count > 300)
  }

  @Test func cleaningEqualsPython() throws {
    let golden = try TokenizerGolden()
    for (prompt, cleaned) in zip(golden.prompts, golden.cleaned) {
      // Scalars, since == on strings ignores how a character is composed.
      #expect(
        Array(Caption.cleaned(prompt).unicodeScalars) == Array(cleaned.unicodeScalars),
        "\(prompt.debugDescription)")
    }
  }

  @Test func paddingAndTruncationEqualTransformers() throws {
    let golden = try TokenizerGolden()
    let tokenizer = try TokenizerGolden.tokenizer("nfkc")
    for (length, expected) in golden.padded {
      let tokens = tokenizer.encode(golden.paddedPrompt, maxLength: try #require(Int(length)))
      #expect(tokens.ids == expected[0])
      #expect(tokens.mask == expected[1])
    }
    #expect(golden.padded.count == 7)
  }

  @Test func idsStayBelowTheVocabularySize() throws {
    let golden = try TokenizerGolden()
    for model in golden.models.keys {
      let tokenizer = try TokenizerGolden.tokenizer(model)
      for text in golden.cleaned {
        #expect(tokenizer.textIDs(text).allSatisfy { 0..<tokenizer.vocabularySize ~= Int($0) })
      }
    }
  }
}
