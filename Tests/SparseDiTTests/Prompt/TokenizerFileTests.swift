import Foundation
import Synchronization
import Tensors
import Testing

@testable import SparseDiT

/// Folders without `spiece.model`, as transformers 5 saves them.
@Suite struct TokenizerFileTests {
  private static let json = "tokenizer/tokenizer.json"
  private static let model = "tokenizer/spiece.model"

  private static func folder(json name: String) throws -> MemoryModel {
    var folder = try MemoryModel(golden: "pixart-alpha")
    folder.files[model] = nil
    folder.files[json] = try TokenizerGolden.bytes(name)
    return folder
  }

  private final class Log: Sendable {
    let lines = Mutex<[String]>([])
  }

  /// Loads a pipeline on the folder and draws; what it logged, too.
  private static func draw(_ folder: MemoryModel, _ prompt: String) throws -> ([UInt8], [String]) {
    let log = Log()
    let options = PipelineOptions(precision: .f32, threads: 1) { line in
      log.lines.withLock { $0.append(line) }
    }
    let pipeline = try Pipeline(model: folder.folder("saved"), options: options)
    let result = try pipeline.generate(
      GenerationRequest(prompt: prompt, width: 32, height: 32, steps: 2, seed: 3))
    return (result.images[0].pixels, log.lines.withLock { $0 })
  }

  @Test func drawsTheSameBytesAsTheFolderWithTheModel() throws {
    var other = try MemoryModel(golden: "pixart-alpha")
    other.files[Self.model] = try TokenizerGolden.bytes("nfkc.model")
    for prompt in ["A Red ﬁre\u{3000}house, ①½", ""] {
      let (expected, _) = try Self.draw(other, prompt)
      let (actual, log) = try Self.draw(Self.folder(json: "nfkc.json"), prompt)
      #expect(actual == expected && !actual.isEmpty)
      #expect(log.isEmpty)
    }
  }

  /// The same in memory: pieces, kinds and character map.
  @Test func saysWhatTheModelSays() throws {
    for name in ["nfkc", "symbols"] {
      let json = try TokenizerFile(TokenizerGolden.file(name + ".json"))
      let model = try SentencePieceModel(TokenizerGolden.file(name + ".model"))
      #expect(json.model.pieces == model.pieces)
      #expect(json.model.normalizer == model.normalizer)
      #expect(json.splitsAtWhiteSpace)
      #expect(json.vocabularySize == model.pieces.count + 100)
    }
  }

  @Test func aMissingNormalizerIsTheIdentityWithOneLineOfAdvice() throws {
    let folder = try Self.folder(json: "symbols.json")
    let (pixels, log) = try Self.draw(folder, "a red house")
    #expect(log.count == 1)
    #expect(log[0].hasPrefix("saved: tokenizer/tokenizer.json: has no normalizer"))
    #expect(!log[0].contains { $0.isNewline })
    var other = try MemoryModel(golden: "pixart-alpha")
    other.files[Self.model] = try TokenizerGolden.bytes("symbols.model")
    #expect(try Self.draw(other, "a red house").0 == pixels)
  }

  @Test func theModelWinsWhereThereAreBoth() throws {
    var folder = try Self.folder(json: "nfkc.json")
    folder.files[Self.model] = Array("damaged".utf8)
    #expect(
      try error { _ = try Tokenizer(folder.folder("f"), vocabulary: .max) }
        == .invalidData("f: tokenizer/spiece.model: is not a SentencePiece model"))
    folder.files[Self.model] = nil
    _ = try Tokenizer(folder.folder("f"), vocabulary: .max)
    folder.files[Self.json] = nil
    #expect(
      try error { _ = try Tokenizer(folder.folder("f"), vocabulary: .max) }
        == .notFound("f: tokenizer/spiece.model: does not exist"))
  }

  /// A small file with some keys changed; a nil value leaves the key out.
  private static func tokenizer(_ changes: [String: String?]) throws -> Tokenizer {
    var members = [
      "model":
        #"{"type": "Unigram", "unk_id": 2, "byte_fallback": false, "vocab": [["<pad>", 0.0], "#
        + #"["</s>", 0.0], ["<unk>", 0.0], ["\u2581a", -1.5], ["b", -2], ["<extra_id_1>", 0.0], "#
        + #"["<extra_id_0>", 0.0]]}"#,
      "normalizer": "null",
      "pre_tokenizer":
        #"{"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, "#
        + #"{"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}]}"#,
      "added_tokens":
        #"[{"id": 1, "content": "</s>", "special": true}, "#
        + #"{"id": 6, "content": "<extra_id_0>", "special": true}, "#
        + #"{"id": 7, "content": "<new>", "special": false}]"#,
    ]
    for (key, value) in changes { members[key] = value }
    let text = "{" + members.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
    return try Array(text.utf8).withUnsafeBytes { raw in
      try Tokenizer(json: FileBytes(name: "t.json", embedded: raw))
    }
  }

  @Test func readsWhatItSays() throws {
    let tokenizer = try Self.tokenizer([:])
    #expect(tokenizer.vocabularySize == 8 && tokenizer.pieceCount == 5)
    #expect(
      try tokenizer.textIDs("ab\tab</s>a<extra_id_0>a <new>?") == [
        3, 4, 3, 4, 1, 3, 6, 3, 7, 2,
      ])
    // Without WhitespaceSplit a tab is a character as any other.
    let spaces = try Self.tokenizer(["pre_tokenizer": #"{"type": "Metaspace"}"#])
    #expect(try spaces.textIDs("a\ta a") == [3, 2, 3])
    for normalizer in [
      #"{"type": "Sequence", "normalizers": []}"#,
      #"{"type": "Sequence", "normalizers": [{"type": "Strip", "strip_right": true}, "#
        + #"{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]}"#,
    ] {
      let tokenizer = try Self.tokenizer(["normalizer": normalizer])
      #expect(try tokenizer.textIDs(" a   a ") == [3, 3])
    }
  }

  @Test(
    arguments: [
      ("model", nil, "model is missing (expected an object)"),
      ("model", #"{"type": "BPE"}"#, #"model.type: "BPE" is not supported (only "Unigram")"#),
      (
        "model", #"{"type": "Unigram", "vocab": [["<pad>"]], "unk_id": 0}"#,
        "model.vocab[0]: expected a string and a number, found an array of 1"
      ),
      (
        "model",
        #"{"type": "Unigram", "vocab": [["?", 0], ["</s>", 0], ["a", 0], ["a", 0]], "unk_id": 0}"#,
        #"piece 3, "a", is there twice"#
      ),
      (
        "normalizer", #"{"type": "Lowercase"}"#,
        #"normalizer.type: "Lowercase" is not supported (only "Precompiled", "Sequence", "#
          + #""Strip", "Replace")"#
      ),
      (
        "normalizer", #"{"type": "Precompiled", "precompiled_charsmap": "AA"}"#,
        "the normalizer's precompiled_charsmap is not base64"
      ),
      (
        "normalizer", #"{"type": "Precompiled", "precompiled_charsmap": "AAAA"}"#,
        "its character map is malformed"
      ),
      (
        "normalizer", #"{"type": "Replace", "pattern": {"String": "a"}, "content": "b"}"#,
        "a normalizer that replaces other than runs of spaces is not supported"
      ),
      (
        "pre_tokenizer", "null",
        "a tokenizer without a pre_tokenizer that marks where words begin is not supported"
      ),
      (
        "pre_tokenizer", #"{"type": "WhitespaceSplit"}"#,
        "a tokenizer without a pre_tokenizer that marks where words begin is not supported"
      ),
      (
        "pre_tokenizer", #"{"type": "Metaspace", "prepend_scheme": "never"}"#,
        #"pre_tokenizer.prepend_scheme: "never" is not supported (only "always", "first")"#
      ),
      (
        "added_tokens", #"[{"id": 1, "content": "</s>", "single_word": true}]"#,
        #"the added token "</s>" with single_word is not supported"#
      ),
      (
        "added_tokens", #"[{"id": 1, "content": "a"}, {"id": 1, "content": "b"}]"#,
        "two added tokens have the id 1"
      ),
      (
        "added_tokens", #"[{"id": 1, "content": "<s>"}]"#,
        #"the added token 1, "<s>", is "</s>" in the vocabulary"#
      ),
    ] as [(String, String?, String)])
  func refuses(key: String, value: String?, message: String) throws {
    let found = try error { _ = try Self.tokenizer([key: value]) }
    #expect("\(found)" == "t.json: " + message)
  }

  @Test func decodesBase64() {
    #expect(base64Decoded("") == [])
    #expect(base64Decoded("AP+/aGk=") == [0x00, 0xFF, 0xBF, 0x68, 0x69])
    #expect(base64Decoded("//8=") == [0xFF, 0xFF])
    #expect(base64Decoded("QQ==") == [0x41])
    for wrong in ["A", "AA", "AAA", "A===", "====", "A=AA", "AA A", "AA-_"] {
      #expect(base64Decoded(wrong) == nil, "\(wrong)")
    }
  }
}
