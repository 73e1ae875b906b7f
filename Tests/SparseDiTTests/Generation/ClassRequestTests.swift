import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// What is refused of requests for classes, of class names, and of folders of such models.
@Suite struct ClassRequestTests {
  @Test(
    arguments: [
      (GenerationRequest(), "a class in 0 to 999 is needed"),
      (GenerationRequest(classLabel: 1000), "class 1000 is not in 0 to 999"),
      (GenerationRequest(classLabel: -1), "class -1 is not in 0 to 999"),
      (GenerationRequest(classLabel: .max), "is not in 0 to 999"),
      (GenerationRequest(prompt: "a cat"), "prompt: this model draws from a class, not from text"),
      (
        GenerationRequest(prompt: "a cat", classLabel: 1),
        "prompt: this model draws from a class, not from text"
      ),
      (GenerationRequest(negativePrompt: "x", classLabel: 1), "negative prompt: this model"),
      (
        GenerationRequest(classLabel: 1, sparsity: .rates(min: 0.5, max: 0.6)),
        "at least 10 blocks"
      ),
    ])
  func refusesOfAModelThatDrawsClasses(_ request: GenerationRequest, _ words: String) throws {
    try expectRefusal(words) { try ClassPipelineTests.pipeline("dit-alone").check(request) }
  }

  @Test func refusesClassesOfAModelThatReadsText() throws {
    let pipeline = try Pipeline(
      model: ModelFolder(directory: GoldenData("pixart-velocity").path),
      options: PipelineOptions(precision: .f32, threads: 1))
    #expect(pipeline.info.classCount == 0 && pipeline.info.classNames.isEmpty)
    try expectRefusal("class 7: this model draws from text, not from a class") {
      try pipeline.check(GenerationRequest(prompt: "a cat", classLabel: 7))
    }
    try expectRefusal("class \"goldfish\": this model draws from text, not from a class") {
      _ = try pipeline.classLabel(named: "goldfish")
    }
  }

  @Test func findsClassesByName() throws {
    let pipeline = try ClassPipelineTests.pipeline("dit-alone")
    for (name, label) in [
      ("golden retriever", 207), ("Tench", 0), ("  tinca tinca ", 0), ("tench, Tinca tinca", 0),
      ("Tench,tinca tinca", 0), ("coon bear", 388),
    ] {
      #expect(try pipeline.classLabel(named: name) == label)
    }
    for (name, words) in [
      ("golden retreiver", "did you mean \"golden retriever\"?"),
      ("gient pandas", "did you mean \"giant panda\"?"), ("crane", "classes 134 and 517"),
      ("", "no class has this name"), (String(repeating: "a", count: 1 << 20), "no class"),
      ("tench, goldfish", "no class has this name"), ("Tinca tinca, tench", "no class"),
      (",", "no class has this name"),
    ] {
      try expectRefusal(words) { _ = try pipeline.classLabel(named: name) }
    }
    // Nothing like it: no advice.
    let error = #expect(throws: SparseDiTError.self) { try pipeline.classLabel(named: "zeppelin") }
    #expect(error?.description.contains("did you mean") == false)
    let nameless = try ClassPipelineTests.pipeline("dit-original-256")
    try expectRefusal("lists no names; give a number, 0 to 9") {
      _ = try nameless.classLabel(named: "tench")
    }
  }

  @Test func refusesATokenTableBeyondTheTraining() throws {
    let changes = ["rates": nil, "schedule": "\"table\"", "table": "[[0, 0.5], [1000, 0.6]]"]
    let error = #expect(throws: SparseDiTError.self) {
      try pipeline("dit-original-256", sparsity: changes)
    }
    guard case .invalidData(let message) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(message.contains("transformer/config.json: the token table's timestep 1000"))
  }

  /// A fixed grid that the picture is too small for.
  @Test func refusesPicturesSmallerThanTheSparseGrid() throws {
    let changes = ["rates": nil, "schedule": "\"table\"", "table": "[[0, 8, 8]]"]
    let pipeline = try pipeline("dit-original-256", sparsity: changes)
    let side = 8 * 2 * 8
    #expect(throws: Never.self) {
      try pipeline.check(GenerationRequest(classLabel: 1, width: side, height: side))
    }
    try expectRefusal("grid 8×8 at timestep 999.0 is larger than the picture's, 8×7") {
      try pipeline.check(GenerationRequest(classLabel: 1, width: side - 16, height: side))
    }
  }

  @Test(arguments: [
    (["top": "2"], "27 blocks, num_layers is 28"),
    (["module_layout": "[1, 2, 1, 1]"], "24 blocks, num_layers is 28"),
    (["poolingformer": "0", "top": "4"], "normal_blocks.3"),
  ])
  func refusesLayoutsThatDoNotFit(_ changes: [String: String], _ words: String) throws {
    let error = #expect(throws: SparseDiTError.self) {
      try pipeline("dit-original-256", sparsity: changes)
    }
    #expect(error?.description.contains(words) == true, "\(String(describing: error))")
  }

  enum Kind: Sendable { case unsupported, invalidData }

  @Test(
    arguments: [
      ("transformer/config.json", "norm_type", "\"ada_norm_single\"", .unsupported, "norm_type"),
      ("transformer/config.json", "activation_fn", "\"geglu\"", .unsupported, "activation_fn"),
      ("transformer/config.json", "cross_attention_dim", "24", .unsupported, "cross_attention"),
      ("transformer/config.json", "interpolation_scale", "2", .unsupported, "interpolation_scale"),
      ("transformer/config.json", "num_embeds_ada_norm", "0", .invalidData, "num_embeds_ada_norm"),
      ("transformer/config.json", "num_embeds_ada_norm", "999", .invalidData, "class_embedder"),
      ("transformer/config.json", "num_layers", "2", .invalidData, "is not part of this model"),
      ("transformer/config.json", "num_layers", "4", .invalidData, "transformer_blocks.3"),
      ("transformer/config.json", "_class_name", "\"DiT\"", .invalidData, "x_embedder"),
      (
        "transformer/config.json", "_class_name", "\"Transformer2DModel\"", .invalidData,
        "norm_type"
      ),
      ("model_index.json", "id2label", "{\"1000\": \"dragon\"}", .invalidData, "1000"),
      ("model_index.json", "id2label", "{\"one\": \"dragon\"}", .invalidData, "one"),
      ("model_index.json", "id2label", "{\"1\": 2}", .invalidData, "id2label.1"),
      ("model_index.json", "id2label", "[\"tench\"]", .invalidData, "id2label"),
      ("model_index.json", "vae", nil, .invalidData, "vae"),
      (
        "scheduler/scheduler_config.json", "clip_sample", "2", .invalidData, "clip_sample"
      ),
    ] as [(String, String, String?, Kind, String)])
  func refusesFolders(
    _ file: String, _ key: String, _ value: String?, _ kind: Kind, _ words: String
  ) throws {
    var model = try MemoryModel(golden: "dit-alone")
    try model.edit(file, key, json: value)
    if value == "\"Transformer2DModel\"" { try model.edit(file, "norm_type", json: nil) }
    let folder = model.folder()
    let error = #expect(throws: SparseDiTError.self) {
      try Pipeline(model: folder, options: PipelineOptions(precision: .f32, threads: 1))
    }
    switch (kind, error) {
    case (.unsupported, .unsupported(let message)), (.invalidData, .invalidData(let message)):
      #expect(message.contains(words), "\(message)")
    default:
      Issue.record("\(String(describing: error))")
    }
  }

  /// A pipeline of one kind around a transformer of the other.
  @Test func refusesATransformerOfAnotherFamily() throws {
    let (pixArt, dit) = (
      try MemoryModel(golden: "pixart-velocity"), try MemoryModel(golden: "dit-half")
    )
    for (outside, inside, words) in [
      (pixArt, dit, "a PixArtAlphaPipeline whose transformer draws from a class"),
      (dit, pixArt, "a DiTPipeline whose transformer draws from text"),
    ] {
      var model = outside
      for (path, bytes) in inside.files where path.hasPrefix("transformer/") {
        model.files[path] = bytes
      }
      let folder = model.folder()
      let error = #expect(throws: SparseDiTError.self) {
        try Pipeline(model: folder, options: PipelineOptions(precision: .f32, threads: 1))
      }
      #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    }
  }

  /// The authors' files hold the position table; another one would be another model.
  @Test func checksTheStoredPositions() throws {
    var model = try MemoryModel(golden: "dit-original-dense")
    let weights = "transformer/diffusion_pytorch_model.safetensors"
    try model.poke(weights, "pos_embed", index: 30, 5)
    let folder = model.folder()
    let error = #expect(throws: SparseDiTError.self) {
      try Backbone(folder: folder, precision: .f32)
    }
    guard case .unsupported(let message) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(message.contains("pos_embed"))
  }

  /// Stages that hosts call one by one.
  @Test func refusesTextStages() throws {
    let stages = try ClassPipelineTests.pipeline("dit-half").stages(Cancellation())
    try expectRefusal("not from text") { _ = try stages.tokenize("a cat", length: 4) }
    let none = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)
    try expectRefusal("not from text") {
      try stages.encodePrompt(ids: [1], mask: [1], batch: 1, into: none)
    }
  }

  private func expectRefusal(_ words: String, _ body: () throws -> Void) throws {
    let error = #expect(throws: SparseDiTError.self) { try body() }
    guard case .invalidArgument(let message) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(message.contains(words), "\(message)")
  }

  /// A golden folder with other keys in `"sparsity"`.
  private func pipeline(_ name: String, sparsity changes: [String: String?]) throws -> Pipeline {
    var model = try MemoryModel(golden: name)
    let path = "transformer/config.json"
    let config = try JSONSerialization.jsonObject(with: Data(model.files[path] ?? []))
    var sparsity = (config as? [String: Any])?["sparsity"] as? [String: Any] ?? [:]
    for (key, value) in changes {
      sparsity[key] = try value.map {
        try JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed)
      }
    }
    try model.edit(path, ["sparsity": sparsity])
    return try Pipeline(
      model: model.folder(), options: PipelineOptions(precision: .f32, threads: 1))
  }
}
