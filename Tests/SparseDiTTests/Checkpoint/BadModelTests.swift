import Tensors
import Testing

@testable import SparseDiT

/// A whole small model folder with one defect: loading it, or the first picture from it, must fail
/// with an error that names the defect.
@Suite struct BadModelTests {
  struct Defect: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let error: SparseDiTError
    let make: @Sendable (inout MemoryModel) throws -> Void

    /// - Parameter error: with messages that start after the folder's name.
    init(
      _ name: String, _ error: SparseDiTError,
      _ make: @escaping @Sendable (inout MemoryModel) throws -> Void
    ) {
      testDescription = name
      self.error = error
      self.make = make
    }
  }

  private static let transformerWeights = "transformer/diffusion_pytorch_model.safetensors"
  private static let decoderWeights = "vae/diffusion_pytorch_model.safetensors"

  static let missingFiles: [Defect] = [
    "model_index.json", "scheduler/scheduler_config.json", "tokenizer/spiece.model",
    "text_encoder/config.json", "text_encoder/model.safetensors", "transformer/config.json",
    transformerWeights, "vae/config.json", decoderWeights,
  ].map { path in
    Defect("no \(path)", .notFound("bad: \(path): does not exist")) { $0.files[path] = nil }
  }

  static let badConfigs: [Defect] = [
    Defect(
      "another pipeline",
      .unsupported(
        #"bad: model_index.json: _class_name: "FluxPipeline" is not supported "#
          + #"(only "PixArtAlphaPipeline", "PixArtSigmaPipeline", "DiTPipeline")"#)
    ) { try $0.edit("model_index.json", ["_class_name": "FluxPipeline"]) },
    Defect(
      "no pipeline class",
      .invalidData("bad: model_index.json: _class_name is missing (expected a string)")
    ) { try $0.edit("model_index.json", ["_class_name": nil]) },
    Defect(
      "depth missing",
      .invalidData("bad: transformer/config.json: num_layers is missing (expected an integer)")
    ) { try $0.edit("transformer/config.json", ["num_layers": nil]) },
    Defect(
      "depth as text",
      .invalidData(
        #"bad: transformer/config.json: num_layers: expected an integer, found "two""#)
    ) { try $0.edit("transformer/config.json", ["num_layers": "two"]) },
    Defect(
      "depth of zero",
      .invalidData("bad: transformer/config.json: num_layers: expected 1 to 1000, found 0")
    ) { try $0.edit("transformer/config.json", ["num_layers": 0]) },
    Defect(
      "another norm",
      .unsupported(
        #"bad: transformer/config.json: norm_type: "ada_norm" is not supported "#
          + #"(only "ada_norm_single")"#)
    ) { try $0.edit("transformer/config.json", ["norm_type": "ada_norm"]) },
    Defect(
      "d_model fractional",
      .invalidData("bad: text_encoder/config.json: d_model: expected an integer, found 32.5")
    ) { try $0.edit("text_encoder/config.json", ["d_model": 32.5]) },
    Defect(
      "T5 v1.0",
      .unsupported(
        #"bad: text_encoder/config.json: feed_forward_proj: "relu" is not supported "#
          + #"(only "gated-gelu")"#)
    ) { try $0.edit("text_encoder/config.json", ["feed_forward_proj": "relu"]) },
    Defect(
      "another solver",
      .unsupported(
        "bad: model_index.json: scheduler: HeunDiscreteScheduler is not supported (only "
          + "DDPMScheduler, DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler)")
    ) {
      try $0.edit("model_index.json", ["scheduler": ["diffusers", "HeunDiscreteScheduler"]])
    },
    Defect(
      "another solver, in the one place that names it",
      .unsupported(
        #"bad: scheduler/scheduler_config.json: _class_name: "HeunDiscreteScheduler" is not "#
          + #"supported (only "DDPMScheduler", "DDIMScheduler", "DPMSolverMultistepScheduler", "#
          + #""EulerDiscreteScheduler")"#)
    ) {
      try $0.edit("model_index.json", ["scheduler": nil])
      try $0.replace(
        "scheduler/scheduler_config.json", "DPMSolverMultistepScheduler", "HeunDiscreteScheduler")
    },
    Defect(
      "levels of the decoder as a number",
      .invalidData("bad: vae/config.json: block_out_channels: expected an array, found 8")
    ) { try $0.edit("vae/config.json", ["block_out_channels": 8]) },
    Defect(
      "config not JSON",
      .invalidData("bad: vae/config.json: not valid JSON: unexpected character at byte 0")
    ) { $0.files["vae/config.json"] = Array("<html>".utf8) },
  ]

  static let badFiles: [Defect] = [
    Defect(
      "not a tokenizer", .invalidData("bad: tokenizer/spiece.model: is not a SentencePiece model")
    ) { $0.files["tokenizer/spiece.model"] = Array("{}\n".utf8) },
    Defect(
      "empty tokenizer",
      .invalidData("bad: tokenizer/spiece.model: is not a SentencePiece model (it has no pieces)")
    ) { $0.files["tokenizer/spiece.model"] = [] },
    Defect(
      "truncated tokenizer",
      .invalidData("bad: tokenizer/spiece.model: is not a SentencePiece model")
    ) { $0.files["tokenizer/spiece.model"]?.removeLast(1000) },
    Defect(
      "empty weights",
      .invalidData(
        "bad: \(decoderWeights): 0 bytes are too few for a safetensors file (at least 8)")
    ) { $0.files[decoderWeights] = [] },
    Defect(
      "a web page for weights",
      .invalidData(
        "bad: \(decoderWeights): header length 8104636974849335612 is above the limit of "
          + "100000000 bytes")
    ) { $0.files[decoderWeights] = Array("<!doctype html><html></html>".utf8) },
    Defect(
      "a tensor missing",
      .invalidData(#"bad: transformer: tensor "pos_embed.proj.bias" is missing"#)
    ) { try $0.replace(transformerWeights, "pos_embed.proj.bias", "pos_embed.proj.bios") },
    Defect(
      "a tensor misshapen",
      .invalidData(
        #"bad: \#(transformerWeights): tensor "pos_embed.proj.weight": "#
          + "expected shape [48, 4, 2, 2], found [4, 48, 2, 2]")
    ) { try $0.replace(transformerWeights, "[48,4,2,2]", "[4,48,2,2]") },
    Defect(
      "an extra tensor",
      .invalidData(
        #"bad: \#(transformerWeights): tensor "transformer_blocks.1.attn1.to_k.bias" is not part "#
          + "of this model (and 20 more)")
    ) { try $0.edit("transformer/config.json", ["num_layers": 1]) },
  ]

  @Test(arguments: missingFiles + badConfigs + badFiles)
  func loadingNames(_ defect: Defect) throws {
    var model = try MemoryModel(golden: "pixart-alpha")
    try defect.make(&model)
    #expect(try error { _ = try Pipeline(model: model.folder("bad")) } == defect.error)
  }

  @Test func loadingNamesTruncatedWeights() throws {
    for path in ["text_encoder/model.safetensors", Self.transformerWeights, Self.decoderWeights] {
      var model = try MemoryModel(golden: "pixart-alpha")
      model.files[path]?.removeLast()
      let message = try "\(error { _ = try Pipeline(model: model.folder("bad")) })"
      #expect(message.hasPrefix("bad: \(path): tensor "))
      #expect(message.contains("truncated: its bytes end at"))
    }
  }

  /// Finite weights, but too large for their sums.
  @Test(arguments: [
    ("text_encoder/model.safetensors", "encoder.final_layer_norm.weight", "text encoder"),
    (transformerWeights, "proj_out.weight", "transformer"),
    (decoderWeights, "decoder.conv_out.weight", "autoencoder"),
  ])
  func drawingNamesTheStageThatOverflows(file: String, tensor: String, stage: String) throws {
    var model = try MemoryModel(golden: "pixart-alpha")
    for index in 0..<32 { try model.poke(file, tensor, index: index, 3e38) }
    let pipeline = try Pipeline(
      model: model.folder("bad"), options: PipelineOptions(precision: .f32, threads: 1))
    let error = try error {
      _ = try pipeline.generate(
        GenerationRequest(prompt: "a cat", width: 32, height: 32, steps: 2))
    }
    #expect(
      error
        == .invalidData(
          "the \(stage) gave NaN or infinite values: its weights are finite, but sums of them"
            + " overflow"))
  }

  @Test func loadingNamesATokenizerWithMorePiecesThanTheTextEncoderKnows() throws {
    var model = try MemoryModel(golden: "pixart-alpha")
    // Repeated fields of protobuf may be added at the end: a piece's text is its field 1.
    for index in 100..<400 {
      model.files["tokenizer/spiece.model"]? += [0x0A, 5, 0x0A, 3] + Array("\(index)".utf8)
    }
    let message = try "\(error { _ = try Pipeline(model: model.folder("bad")) })"
    #expect(message.hasPrefix("bad: tokenizer/spiece.model: its "))
    #expect(message.hasSuffix("pieces are more than the text encoder's vocab_size, 297"))
  }

  @Test(arguments: [
    ("text_encoder/model.safetensors", "encoder.final_layer_norm.weight"),
    (transformerWeights, "transformer_blocks.1.scale_shift_table"),
    (decoderWeights, "decoder.conv_out.bias"),
  ])
  func drawingNamesWeightsThatAreNotFinite(file: String, tensor: String) throws {
    var model = try MemoryModel(golden: "pixart-alpha")
    try model.spoil(file, tensor)
    let pipeline = try Pipeline(
      model: model.folder("bad"), options: PipelineOptions(precision: .f32, threads: 1))
    let error = try error {
      _ = try pipeline.generate(
        GenerationRequest(prompt: "a cat", width: 32, height: 32, steps: 1))
    }
    guard case .invalidData(let message) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(message.contains("bad: \(file): tensor \"\(tensor)\""), "\(message)")
  }
}

extension MemoryModel {
  /// Replaces the first occurrence of a text; in a safetensors header by one of the same length.
  fileprivate mutating func replace(_ path: String, _ old: String, _ new: String) throws {
    let place = files[path]?.firstRange(of: Array(old.utf8))
    files[path]?.replaceSubrange(try #require(place), with: Array(new.utf8))
  }

  /// Sets the second value of an f32 tensor to NaN.
  fileprivate mutating func spoil(_ path: String, _ tensor: String) throws {
    let start = try (files[path] ?? []).withUnsafeBytes { (raw) throws in
      try SafetensorsFile(file: FileBytes(name: path, embedded: raw)).entries[tensor]?.range
    }
    let begin = try #require(start).lowerBound
    files[path]?.replaceSubrange(begin + 4..<begin + 8, with: [0, 0, 0xC0, 0x7F])
  }
}
