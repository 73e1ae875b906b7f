import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// Thousands of damaged files: each is either read or refused with a one-line error that names the
/// file; none may crash the process. Seeded, so that a failure can be repeated.
@Suite struct MutationTests {
  /// SplitMix64.
  struct Random: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var value = state
      value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
      value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
      return value ^ (value >> 31)
    }
  }

  /// What a mutation inserts: text that matters to the parsers.
  private static let fragments = [
    "0", "-1", "1e999", "18446744073709551616", "9223372036854775807", "NaN", "null", "\"", "\\",
    "\\u0000", "\\ud800", "{", "}", "[", "]", ",", ":", "[[[[[[[[", "\"a\":", "F64", "\u{0}", "é",
  ].map { Array($0.utf8) }

  /// One to four edits: a bit flipped, a byte replaced, a range removed or doubled, text inserted.
  static func mutated(_ original: [UInt8], _ random: inout Random) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &random)
      let range = place..<min(bytes.count, place + Int.random(in: 1...24, using: &random))
      switch Int.random(in: 0..<6, using: &random) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 1: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 2: bytes.removeSubrange(range)
      case 3: bytes.insert(contentsOf: Array(bytes[range]), at: place)
      case 4: bytes.removeSubrange(place...)
      default: bytes.insert(contentsOf: fragments.randomElement(using: &random) ?? [], at: place)
      }
    }
    return bytes
  }

  /// Runs `read` on many mutations; both outcomes must occur.
  private func mutate(
    _ original: [UInt8], _ name: String, count: Int, seed: UInt64,
    _ read: (ModelFolder) throws -> Void
  ) throws {
    var random = Random(state: seed)
    var accepted = 0
    for _ in 0..<count {
      let bytes = Self.mutated(original, &random)
      try bytes.withUnsafeBytes { (raw) throws in
        do {
          try read(ModelFolder(name: "mutated", embedded: [name: raw]))
          accepted += 1
        } catch let error as SparseDiTError {
          #expect("\(error)".hasPrefix("mutated: "), "\(error)")
          #expect(!"\(error)".contains { $0.isNewline })
        }
      }
    }
    #expect(accepted > 0 && accepted < count)
  }

  @Test func safetensors() throws {
    let file = WeightReaderTests.file([
      ("a.weight", "F32", [2, 3], WeightReaderTests.bytes([Float](repeating: 1, count: 6))),
      ("a.bias", "BF16", [2], WeightReaderTests.bfloat([1, 2])), ("empty", "F16", [0, 4], []),
      ("scalar", "F16", [], WeightReaderTests.bytes([1 as Float16])),
    ])
    try mutate(file, "p/w.safetensors", count: 4000, seed: 1) { folder in
      let reader = try folder.weights("p", base: "w", precision: .bf16)
      _ = try reader.linear("a", in: 3, out: 2).weight.floats()
      _ = try reader.tensor("scalar", []).floats()
      _ = reader.named.firstNonFinite()
      reader.ignore { $0 == "empty" }
      try reader.finish()
    }
  }

  @Test func configs() throws {
    let config =
      #"{"_class_name": "X", "layers": 28, "rates": [0.61, 0.86], "none": null, "clip": -Infinity,"#
      + #" "sparsity": {"modules": 4, "on": true}, "text": "caf\u00e9 \ud83d\ude00"}"#
    try mutate(Array(config.utf8), "config.json", count: 4000, seed: 2) { folder in
      let config = try folder.config("config.json")
      _ = try config.int("layers", in: 1...1000)
      _ = try config.doubles("rates", in: 0...1, count: 2...2)
      _ = try config.object("sparsity")?.bool("on")
      _ = try config.string("text", default: "")
    }
  }

  /// Labels and names of classes, and the transformer that has as many.
  @Test func classes() throws {
    let index = #"{"id2label": {"0": "tench, Tinca tinca", "9": "crane", "10": "\u00e9,, "}}"#
    try mutate(Array(index.utf8), "model_index.json", count: 2000, seed: 6) { folder in
      let classes = try ImageClasses(folder.config("model_index.json"), count: 11)
      #expect(classes.names.keys.allSatisfy { (0..<11).contains($0) })
      for name in classes.names.values.joined() {
        let found = try? classes.label(named: name)
        #expect(found.map { classes.names[$0]?.contains(name) } ?? true == true)
      }
    }
    let path = GoldenData.root.appending(path: "dit-original-256/transformer/config.json")
    let config = Array(try Data(contentsOf: path))
    try mutate(config, "transformer/config.json", count: 2000, seed: 7) { folder in
      let config = try BackboneConfig(folder.config("transformer/config.json"))
      #expect(config.sparsity.map { $0.layout.depth == config.depth } ?? true)
    }
  }

  @Test func indexes() throws {
    let index = #"{"metadata": {"total_size": 8}, "weight_map": {"a": "w-1", "b": "w-2"}}"#
    try mutate(Array(index.utf8), "p/w.safetensors.index.json", count: 2000, seed: 3) { folder in
      do {
        _ = try folder.weights("p", base: "w", precision: .f32)
      } catch SparseDiTError.notFound {
        // The index was understood; its shards are not there.
      }
    }
  }

  @Test func sentencePieceModels() throws {
    let path = GoldenData.root.appending(path: "tokenizer/symbols.model")
    let model = Array(try Data(contentsOf: path))
    try mutate(model, "tokenizer/spiece.model", count: 400, seed: 4) { folder in
      try Self.encode(Tokenizer(folder, vocabulary: .max))
    }
  }

  /// What transformers 5 saves, with a vocabulary short enough that a mutation meets all parts.
  @Test func tokenizerFiles() throws {
    let path = GoldenData.root.appending(path: "tokenizer/symbols.json")
    let json = String(decoding: try Data(contentsOf: path), as: UTF8.self)
    let short = json.replacing(/"added_tokens": \[[^\]]*\]/, with: #""added_tokens": []"#)
    try mutate(Array(short.utf8), "tokenizer/tokenizer.json", count: 150, seed: 8) { folder in
      try Self.encode(Tokenizer(folder, vocabulary: .max))
    }
  }

  private static func encode(_ tokenizer: Tokenizer) throws {
    let tokens = try tokenizer.encode("a red house <obj> 日本 …… e\u{301}", maxLength: 20)
    #expect(tokens.ids.count == 20)
    #expect(tokens.ids.allSatisfy { (0..<Int32(tokenizer.vocabularySize)).contains($0) })
  }

  /// Tables with a few wrong units: those that are accepted are used by the library.
  @Test func characterMaps() throws {
    let original = try SentencePieceModel(TokenizerGolden.file("nfkc.model"))
    let map = original.normalizer.characterMap
    #expect(map.count > 200_000)
    var random = Random(state: 5)
    var taken = 0
    for round in 0..<30 {
      var damaged = original
      for _ in 0..<(1 << (round / 5)) {
        let place = Int.random(in: 4..<map.count, using: &random)
        damaged.normalizer.characterMap[place] = UInt8.random(in: 0...255, using: &random)
      }
      guard (try? CharacterMap(damaged.normalizer.characterMap, name: "damaged")) != nil else {
        continue
      }
      taken += 1
      let processor = try SentencePieceProcessor(damaged, name: "damaged")
      _ = try processor.encode("ﬁne ½ ℃ e\u{301} 日本 ａｂｃ \u{1F600} ﷺ")
    }
    #expect(taken > 0 && taken < 30)
  }
}
