import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// Ids are compared with those of transformers; see Tests/Golden/make_tokenizer_golden.py.
struct TokenizerGolden: Decodable {
  let prompts: [String]
  let cleaned: [String]
  let models: [String: [[Int32]]]
  /// Where ids are not those of transformers, by model, or by the file that transformers saves.
  let differences: [String: [Difference]]
  let paddedPrompt: String
  /// Length → ids, mask.
  let padded: [String: [[Int32]]]

  struct Difference: Decodable {
    let prompt: Int
    let kinds: [String]
    let ids: [Int32]
  }

  private enum CodingKeys: String, CodingKey {
    case prompts, cleaned, models, differences, padded
    case paddedPrompt = "padded_prompt"
  }

  static let folder = GoldenData.root.appending(path: "tokenizer").path

  init() throws { self = try Self.read("golden.json") }

  static func read<T: Decodable>(_ name: String) throws -> T {
    let file = GoldenData.root.appending(path: "tokenizer/" + name)
    return try JSONDecoder().decode(T.self, from: Data(contentsOf: file))
  }

  static func bytes(_ name: String) throws -> [UInt8] {
    try Array(Data(contentsOf: GoldenData.root.appending(path: "tokenizer/" + name)))
  }

  static func file(_ name: String) throws -> FileBytes {
    try ModelFolder(directory: folder).read(name)
  }

  /// - Parameter model: a name with ".json" reads what transformers saved.
  static func tokenizer(_ model: String) throws -> Tokenizer {
    try model.hasSuffix(".json")
      ? Tokenizer(json: file(model)) : Tokenizer(model: file(model + ".model"))
  }
}

@Suite struct TokenizerTests {
  /// The kinds are those of docs/tokenizer.md.
  @Test(
    arguments: [
      ("nfkc", 12, ["marks", "spelled", "white space"]), ("nfkc.json", 7, ["marks", "spelled"]),
      ("bytes", 273, ["bytes", "marker", "white space"]),
      ("symbols", 48, ["marker", "white space"]), ("symbols.json", 8, ["marker"]),
    ] as [(String, Int, [String])])
  func idsEqualTransformersButForTheKindsListed(
    model: String, count: Int, kinds: [String]
  ) throws {
    let golden = try TokenizerGolden()
    let tokenizer = try TokenizerGolden.tokenizer(model)
    var expected = try #require(
      golden.models[model.hasSuffix(".json") ? String(model.dropLast(5)) : model])
    #expect(expected.count == 348)
    let differences = try #require(golden.differences[model])
    for difference in differences { expected[difference.prompt] = difference.ids }
    #expect(differences.count == count)
    #expect(Set(differences.flatMap(\.kinds)).sorted() == kinds)
    for (text, ids) in zip(golden.cleaned, expected) {
      #expect(try tokenizer.textIDs(text) + [1] == ids, "\(text.debugDescription)")
    }
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

  @Test(arguments: ["nfkc", "nfkc.json"])
  func paddingAndTruncationEqualTransformers(model: String) throws {
    let golden = try TokenizerGolden()
    let tokenizer = try TokenizerGolden.tokenizer(model)
    for (length, expected) in golden.padded {
      let tokens = try tokenizer.encode(golden.paddedPrompt, maxLength: try #require(Int(length)))
      #expect(tokens.ids == expected[0])
      #expect(tokens.mask == expected[1])
    }
    #expect(golden.padded.count == 7)
  }

  @Test func idsStayBelowTheVocabularySize() throws {
    let golden = try TokenizerGolden()
    for model in golden.differences.keys {
      let tokenizer = try TokenizerGolden.tokenizer(model)
      for text in golden.cleaned {
        let ids = try tokenizer.textIDs(text)
        #expect(ids.allSatisfy { 0..<tokenizer.vocabularySize ~= Int($0) })
      }
    }
  }

  @Test func threadsShareATokenizer() async throws {
    let golden = try TokenizerGolden()
    let tokenizer = try TokenizerGolden.tokenizer("nfkc")
    let expected = try golden.cleaned.map { try tokenizer.textIDs($0) }
    try await withThrowingTaskGroup(of: [[Int32]].self) { group in
      for _ in 0..<8 { group.addTask { try golden.cleaned.map { try tokenizer.textIDs($0) } } }
      for try await ids in group { #expect(ids == expected) }
    }
  }
}
