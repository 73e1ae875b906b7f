import Tensors
import Testing

@testable import SparseDiT

@Suite struct KnownWordsTests {
  private static let list = """
    {"things": ["house", "full moon"], "colours": ["red"], "weathers": [], "other": ["a", "under"]}
    """

  private func words(_ json: String) throws -> KnownWords? {
    let bytes = Array(json.utf8)
    return try bytes.withUnsafeBytes { (raw) throws in
      try ModelFolder(name: "default model", embedded: ["words.json": raw]).knownWords()
    }
  }

  @Test(
    arguments: [
      ("a red house under a full moon", nil), ("", nil), ("A RED House, a red house!", nil),
      ("an astronaut", "an"), ("a red astronaut on a horse", "astronaut"),
      ("houses", "houses"), ("a moon full", nil), ("red-café", "café"),
    ] as [(String, String?)])
  func namesTheFirstWordThatIsNotListed(prompt: String, word: String?) throws {
    let list = try #require(try words(Self.list))
    #expect(list.firstUnknown(in: prompt) == word)
  }

  @Test func showsKindsThatHaveWordsInOrder() throws {
    let list = try #require(try words(Self.list))
    #expect(list.kinds.map(\.name) == ["things", "colours"])
    #expect(list.kinds.first?.words == ["house", "full moon"])
  }

  @Test func aFolderWithoutAListKnowsNothingOfIt() throws {
    #expect(try ModelFolder(name: "default model", embedded: [:]).knownWords() == nil)
  }

  @Test(arguments: [#"{"things": "house"}"#, #"{"things": [1]}"#, "[]", "{"])
  func refusesADamagedList(json: String) throws {
    let message = try "\(error { _ = try words(json) })"
    #expect(message.contains("default model: words.json"), "\(message)")
  }

  @Test func theModelInsideKnowsItsExamples() throws {
    guard let model = try? ModelFolder.builtIn() else { return }
    let list = try #require(try model.knownWords())
    #expect(list.firstUnknown(in: "a yellow flower to the left of a blue house, at night") == nil)
    #expect(list.firstUnknown(in: "a red house under a full moon") == nil)
    #expect(list.firstUnknown(in: "an astronaut on the grass") == "astronaut")
  }
}
