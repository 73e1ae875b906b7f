import Tensors
import Testing

@testable import SparseDiT

/// T5's sentinels, `<extra_id_0>` and so on, stand for ids only where there are such ids.
@Suite struct TokenizerConfigTests {
  @Test func sentinelsOfAModelWithoutThemAreText() throws {
    let pipeline = try Pipeline(model: .builtIn(), options: PipelineOptions(threads: 1))
    let text = try #require(pipeline.model.condition.text)
    #expect(text.tokenizer.vocabularySize == text.encoder.config.vocabulary)
    let prompt = "a house <extra_id_0> <extra_id_99>"
    let ids = try text.tokenizer.textIDs(prompt)
    #expect(ids.allSatisfy { $0 < text.encoder.config.vocabulary })
    // Cut into pieces like the other words, so that it is more than one id.
    #expect(try ids.count > text.tokenizer.textIDs("a house").count + 2)
    _ = try pipeline.generate(GenerationRequest(prompt: prompt, width: 64, height: 64, steps: 1))
    let estimate = try ModelOutline(.builtIn())
      .plan(GenerationRequest(prompt: prompt), format: NumberFormat(.f32, activations: .f32))
    #expect(estimate.textTokens == ids.count + 1)
  }

  @Test(arguments: [("100", 100), ("3", 3), ("0", 0), (nil, 100)])
  func theConfigurationSaysHowManyThereAre(json: String?, count: Int) throws {
    var model = try MemoryModel(golden: "pixart-alpha")
    try model.edit("tokenizer/tokenizer_config.json", "extra_ids", json: json)
    let tokenizer = try Tokenizer(model.folder(), vocabulary: 297)
    #expect(tokenizer.vocabularySize == tokenizer.pieceCount + count)
    for sentinel in [0, count - 1, count] where sentinel >= 0 {
      let ids = try tokenizer.textIDs("<extra_id_\(sentinel)>")
      let isSentinel = sentinel < count
      #expect((ids == [Int32(tokenizer.vocabularySize - 1 - sentinel)]) == isSentinel, "\(ids)")
      #expect(ids.allSatisfy { $0 < tokenizer.vocabularySize })
    }
  }

  @Test func addedTokensAreRefusedUnlessTheyAreT5s() throws {
    var model = try MemoryModel(golden: "pixart-alpha")
    let path = "tokenizer/tokenizer_config.json"
    try model.edit(
      path, "added_tokens_decoder",
      json: #"{"0": {"content": "<pad>"}, "1": {"content": "</s>"}, "2": {"content": "<unk>"},"#
        + #" "284": {"content": "<extra_id_0>"}}"#)
    _ = try Tokenizer(model.folder(), vocabulary: 297)
    try model.edit(path, "added_tokens_decoder", json: #"{"285": {"content": "<me>"}}"#)
    #expect(
      throws: SparseDiTError.unsupported(
        "memory: \(path): added_tokens_decoder.285: \"<me>\" is not a token of T5 (added tokens are"
          + " not supported)")
    ) { _ = try Tokenizer(model.folder(), vocabulary: 297) }
  }

  @Test func withoutAConfigurationT5sOwnNumberHolds() throws {
    var model = try MemoryModel(golden: "pixart-alpha")
    model.files["tokenizer/tokenizer_config.json"] = nil
    let tokenizer = try Tokenizer(model.folder(), vocabulary: 297)
    #expect(tokenizer.vocabularySize == tokenizer.pieceCount + 100)
    // The last ones, with the lowest numbers, are beyond what this encoder knows.
    let known = tokenizer.vocabularySize - 7
    let cut = try Tokenizer(model.folder(), vocabulary: known)
    #expect(cut.vocabularySize == known)
    #expect(try cut.textIDs("<extra_id_99>").count == 1 && cut.textIDs("<extra_id_0>").count > 1)
  }
}
