import Foundation
import Glibc
import Tensors
import Testing

@testable import SparseDiT

@Suite struct ModelFolderTests {
  @Test func saysWhatIsWrongWithTheFolder() throws {
    let folder = try TemporaryFolder()
    try folder.write("file", "x")
    let missing = folder.path + "/missing"
    #expect(
      try error { _ = try ModelFolder(directory: missing) }
        == .notFound("model folder \(missing): does not exist"))
    #expect(
      try error { _ = try ModelFolder(directory: folder.path + "/file") }
        == .invalidData("model folder \(folder.path)/file: is not a folder"))
    #expect(
      try error { _ = try ModelFolder(directory: folder.path + "/file/x") }
        == .notFound(
          "model folder \(folder.path)/file/x: "
            + "does not exist (a part of its path is not a folder)"))
    #expect(
      try error { _ = try ModelFolder(directory: "") }
        == .notFound("model folder: the path is empty"))
    #expect(
      try error { _ = try ModelFolder(directory: "a\0b") }
        == .notFound("model folder: the path contains a NUL byte"))
    let name = String(repeating: "n", count: 300)
    #expect(
      try error { _ = try ModelFolder(directory: name) }
        == .notFound("model folder \(name): cannot be read: the name is too long"))
  }

  @Test func saysWhatIsWrongWithAFile() throws {
    let folder = try TemporaryFolder()
    try folder.write("a/config.json", "{}")
    try folder.write("empty", "")
    #expect(symlink("loop", folder.path + "/loop") == 0)
    #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
    let model = try ModelFolder(directory: folder.path)
    #expect(
      try error { _ = try model.read("b/config.json") }
        == .notFound("\(folder.path)/b/config.json: does not exist"))
    #expect(
      try error { _ = try model.read("a") }
        == .invalidData("\(folder.path)/a: is not a regular file"))
    #expect(
      try error { _ = try model.read("loop") }
        == .notFound("\(folder.path)/loop: cannot be read: too many symbolic links"))
    // Opening a pipe without a writer must not wait for one.
    #expect(
      try error { _ = try model.read("pipe") }
        == .invalidData("\(folder.path)/pipe: is not a regular file"))
    #expect(try model.read("empty").count == 0)
    #expect(model.contains("a/config.json") && !model.contains("b"))
  }

  @Test(.enabled(if: geteuid() != 0, "root reads everything"))
  func saysWhatMayNotBeRead() throws {
    let folder = try TemporaryFolder()
    try folder.write("secret", "x")
    #expect(chmod(folder.path + "/secret", 0) == 0)
    let model = try ModelFolder(directory: folder.path)
    #expect(
      try error { _ = try model.read("secret") }
        == .notFound("\(folder.path)/secret: cannot be read: permission denied"))
    #expect(chmod(folder.path, 0) == 0)
    defer { chmod(folder.path, 0o700) }
    #expect(
      try error { _ = try ModelFolder(directory: folder.path) }
        == .notFound("model folder \(folder.path): cannot be read: permission denied"))
  }

  /// Sparse files: they take no disk, and must be refused before they take memory.
  @Test func refusesFilesThatAreTooLarge() throws {
    let folder = try TemporaryFolder()
    for name in ["config.json", "spiece.model"] {
      try folder.write(name, "")
      #expect(truncate(folder.path + "/" + name, 100_000_001) == 0)
    }
    let model = try ModelFolder(directory: folder.path)
    #expect(
      try error { _ = try model.config("config.json") }
        == .invalidData(
          "\(folder.path)/config.json: 100000001 bytes are too many (at most 100000000)"))
    #expect(
      try error { _ = try Tokenizer(model: model.read("spiece.model")) }
        == .invalidData(
          "\(folder.path)/spiece.model: 100000001 bytes are too many for a SentencePiece model "
            + "(at most 67108864)"))
    try folder.write("config.json", "{\"a\": [" + String(repeating: "0,", count: 1 << 20))
    let message = try "\(error { _ = try model.config("config.json") })"
    #expect(message.contains("config.json: not valid JSON: more than 1048576 values at byte"))
  }

  @Test func readsFilesInMemory() throws {
    let bytes = Array(#"{"layers": 2}"#.utf8)
    try bytes.withUnsafeBytes { (raw) throws in
      let model = ModelFolder(name: "default model", embedded: ["transformer/config.json": raw])
      #expect(try model.config("transformer/config.json").int("layers", in: 1...9) == 2)
      #expect(
        try error { _ = try model.config("transformer/config.json").int("heads", in: 1...9) }
          == .invalidData(
            "default model: transformer/config.json: heads is missing (expected an integer)"))
      #expect(
        try error { _ = try model.read("vae/config.json") }
          == .notFound("default model: vae/config.json: does not exist"))
      #expect(
        try error { _ = try model.weights("vae", base: "w", precision: .f32) }
          == .notFound("default model: vae/w.safetensors: does not exist"))
    }
  }

  @Test func theModelInsideIsAlignedAndComplete() throws {
    guard embeddedModelExists else {
      #expect(
        try error { _ = try ModelFolder.builtIn() }
          == .notFound("this build has no default model inside"))
      return
    }
    let model = try ModelFolder.builtIn()
    var total = 0
    for path in [
      "model_index.json", "scheduler/scheduler_config.json", "tokenizer/spiece.model",
      "text_encoder/config.json", "text_encoder/model.safetensors", "transformer/config.json",
      "transformer/diffusion_pytorch_model.safetensors", "vae/config.json",
      "vae/diffusion_pytorch_model.safetensors",
    ] {
      let file = try model.read(path)
      #expect(UInt(bitPattern: file.bytes.baseAddress) % 64 == 0, "\(path)")
      total += file.count
    }
    #expect(total <= 32 << 20)
    _ = try Tokenizer(model: model.read("tokenizer/spiece.model"))
  }

  /// Whether this checkout had a model when it was built.
  private var embeddedModelExists: Bool { (try? ModelFolder.builtIn()) != nil }
}

@Suite struct ShardTests {
  /// Two shards, a in the first, b in the second, and this index.
  private func folder(_ index: String) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    for (shard, tensor, value) in [("1", "a", 1 as Float), ("2", "b", 2)] {
      try folder.write(
        "part/w-\(shard).safetensors",
        WeightReaderTests.file([(tensor, "F32", [1], WeightReaderTests.bytes([value]))]))
    }
    try folder.write("part/w.safetensors.index.json", index)
    return folder
  }

  @Test func readsShardsAndPrefersTheIndex() throws {
    let folder = try folder(
      #"{"metadata": {"total_size": 8}, "#
        + #""weight_map": {"a": "w-1.safetensors", "b": "w-2.safetensors"}}"#)
    try folder.write("part/w.safetensors", "not looked at")
    let reader = try ModelFolder(directory: folder.path)
      .weights("part", base: "w", precision: .f32)
    #expect(try reader.tensor("a", [1]).floats() == [1])
    #expect(try reader.tensor("b", [1]).floats() == [2])
    try reader.finish()
  }

  @Test(arguments: [
    (#"{}"#, "index.json: weight_map is missing (expected an object)"),
    (#"{"weight_map": []}"#, "index.json: weight_map: expected an object, found an array of 0"),
    (#"{"weight_map": {"a": 1}}"#, "index.json: weight_map.a: expected a string, found 1"),
    (
      #"{"weight_map": {"a": "../part/w-1.safetensors"}}"#,
      #"index.json: "../part/w-1.safetensors" is not a file name inside the folder"#
    ),
    (
      #"{"weight_map": {"a": "/etc/passwd"}}"#,
      #"index.json: "/etc/passwd" is not a file name inside the folder"#
    ),
    (#"{"weight_map": {"a": ".."}}"#, #"index.json: ".." is not a file name inside the folder"#),
    (#"{"weight_map": {"a": ""}}"#, #"index.json: "" is not a file name inside the folder"#),
    (
      #"{"weight_map": {"a": "w-1.safetensors\u0000"}}"#,
      "index.json: \"w-1.safetensors\u{FFFD}\" is not a file name inside the folder"
    ),
    (
      #"{"weight_map": {"a": "w-1.safetensors", "c": "w-2.safetensors"}}"#,
      #"index.json: tensor "c" is not in "w-2.safetensors""#
    ),
    (
      #"{"weight_map": {"a": "w-1.safetensors", "b": "w-1.safetensors"}}"#,
      #"index.json: tensor "b" is not in "w-1.safetensors""#
    ),
    (
      #"{"weight_map": {"a": "w-1.safetensors", "b": "w-3.safetensors"}}"#,
      "part/w-3.safetensors: does not exist"
    ),
    (
      #"{"weight_map": {"a": "w-1.safetensors", "b": "w.safetensors.index.json"}}"#,
      "w.safetensors.index.json: header length"
    ),
  ])
  func refuses(index: String, expected: String) throws {
    let folder = try folder(index)
    let model = try ModelFolder(directory: folder.path)
    let error = try error { _ = try model.weights("part", base: "w", precision: .f32) }
    #expect("\(error)".contains(expected), "\(error)")
    #expect("\(error)".hasPrefix(folder.path + "/part/w"))
  }

  @Test func namesATensorThatTheIndexDoesNotPlace() throws {
    let folder = try folder(
      #"{"weight_map": {"a": "w-1.safetensors", "b": "w-2.safetensors"}}"#)
    try folder.write(
      "part/w-2.safetensors",
      WeightReaderTests.file([
        ("a", "F32", [1], WeightReaderTests.bytes([9 as Float])),
        ("b", "F32", [1], WeightReaderTests.bytes([2 as Float])),
      ]))
    let model = try ModelFolder(directory: folder.path)
    #expect(
      try error { _ = try model.weights("part", base: "w", precision: .f32) }
        == .invalidData(
          #"\#(folder.path)/part/w-2.safetensors: tensor "a" is not placed there by the index"#))
  }

  /// Names as diffusers and transformers give them; what stands first in each row is what is read.
  @Test(arguments: [
    ["w.safetensors", "w.fp16.safetensors", "w.bin", "w-00001-of-00002.safetensors"],
    ["w.fp16.safetensors", "w.bin", "other.bf16.safetensors"],
    ["w.safetensors.index.json", "w.safetensors", "w.safetensors.index.fp16.json"],
    ["w.safetensors.index.fp16.json", "w.fp16-00001-of-00002.safetensors", "w.bin.index.json"],
  ])
  func findsTheWeightsOfAFolder(_ names: [String]) throws {
    let folder = try TemporaryFolder()
    let shard = "w-00001-of-00002.safetensors"
    for (index, name) in (names + (names.contains(shard) ? [] : [shard])).enumerated() {
      let value = WeightReaderTests.bytes([Float(index)])
      let text = #"{"weight_map": {"a": "\#(index == 0 ? shard : "nowhere")"}}"#
      try folder.write(
        "part/\(name)",
        name.hasSuffix("json")
          ? Array(text.utf8) : WeightReaderTests.file([("a", "F32", [1], value)]))
    }
    let model = try ModelFolder(directory: folder.path)
    let reader = try model.weights("part", base: "w", precision: .f32)
    // The shard is the last file, and read where the first is an index.
    let expected = names[0].hasSuffix("json") ? Float(names.count) : 0
    #expect(try reader.tensor("a", [1]).floats() == [expected])
  }

  @Test func asksForAVariantAmongSeveral() throws {
    let folder = try TemporaryFolder()
    for name in ["w.fp16.safetensors", "w.bf16.safetensors"] {
      try folder.write("part/\(name)", "x")
    }
    let model = try ModelFolder(directory: folder.path)
    #expect(
      try error { _ = try model.weights("part", base: "w", precision: .f32) }
        == .unsupported(
          "\(folder.path)/part: has its weights as bf16 and fp16 only: choose a variant"))
  }

  @Test func saysThatPickledWeightsAreNotSupported() throws {
    let folder = try TemporaryFolder()
    try folder.write("part/w.bin", "x")
    let model = try ModelFolder(directory: folder.path)
    #expect(
      try error { _ = try model.weights("part", base: "w", precision: .f32) }
        == .unsupported(
          "\(folder.path)/part: weights as .bin are not supported (only .safetensors): import them first"
        ))
  }
}
