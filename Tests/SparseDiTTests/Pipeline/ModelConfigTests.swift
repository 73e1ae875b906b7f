import Tensors
import Testing

@testable import SparseDiT

/// Configurations that are wrong or ask for something else: each is an error that names the key or
/// tensor, never a wrong picture.
@Suite struct ModelConfigTests {
  enum Kind: Sendable { case unsupported, invalidData }

  struct Case: Sendable, CustomTestStringConvertible {
    let file: String
    let key: String
    /// JSON.
    let value: String?
    let kind: Kind
    let words: String
    var testDescription: String { "\(file) \(key) = \(value ?? "missing")" }

    init(_ file: String, _ key: String, _ value: String?, _ kind: Kind, _ words: String? = nil) {
      self.file = file
      self.key = key
      self.value = value
      self.kind = kind
      self.words = words ?? key
    }
  }

  static let backbone = [
    ("_class_name", "\"SD3Transformer2DModel\"", Kind.unsupported, nil),
    ("norm_type", "\"ada_norm_zero\"", .unsupported, nil),
    ("norm_elementwise_affine", "true", .unsupported, nil),
    ("activation_fn", "\"geglu\"", .unsupported, nil),
    ("attention_type", "\"gated\"", .unsupported, nil),
    ("only_cross_attention", "true", .unsupported, nil),
    ("double_self_attention", "true", .unsupported, nil),
    ("num_vector_embeds", "8", .unsupported, nil),
    ("num_layers", nil, .invalidData, nil),
    ("num_layers", "\"2\"", .invalidData, nil),
    ("num_layers", "-1", .invalidData, nil),
    ("num_layers", "1", .invalidData, "is not part of this model"),
    ("num_layers", "999", .invalidData, "is missing"),
    ("num_attention_heads", "1", .unsupported, "cross_attention_dim"),
    ("cross_attention_dim", nil, .invalidData, nil),
    ("cross_attention_dim", "100", .unsupported, nil),
    ("attention_bias", "false", .invalidData, "bias"),
    ("in_channels", "8", .invalidData, "pos_embed.proj.weight"),
    ("use_additional_conditions", "true", .invalidData, "resolution_embedder"),
    ("interpolation_scale", "0", .invalidData, nil),
    ("sparsity", "3", .invalidData, nil),
    ("sparsity", "{\"rate\": 0.5}", .unsupported, "rate"),
    ("sparsity", "{}", .invalidData, "28 blocks"),
    ("sparsity", "{\"module_layout\": [2, 3, 1, 1]}", .unsupported, "module_layout"),
    ("sparsity", "{\"module_layout\": [1, 3, 1]}", .invalidData, "module_layout"),
    ("sparsity", "{\"rates\": [0.9, 0.1]}", .invalidData, "rates"),
    ("sparsity", "{\"schedule\": \"cosine\"}", .unsupported, "schedule"),
    ("sparsity", "{\"position_embedding_again\": 1}", .invalidData, "position_embedding_again"),
  ].map { Case("transformer/config.json", $0.0, $0.1, $0.2, $0.3) }

  static let others =
    [
      ("up_block_types", "[\"AttnUpDecoderBlock2D\"]", Kind.invalidData, nil),
      ("act_fn", "\"relu\"", .unsupported, nil),
      ("shift_factor", "0.1", .unsupported, nil),
      ("latents_mean", "[0, 0, 0, 0]", .unsupported, nil),
      ("latents_std", "[1, 1, 1, 1]", .unsupported, nil),
      ("scaling_factor", "0", .invalidData, nil),
      ("norm_num_groups", "3", .invalidData, nil),
      ("layers_per_block", nil, .invalidData, nil),
      ("out_channels", "4", .unsupported, nil),
      ("latent_channels", "8", .invalidData, "post_quant_conv"),
    ].map { Case("vae/config.json", $0.0, $0.1, $0.2, $0.3) }
    + [
      ("feed_forward_proj", "\"relu\"", Kind.unsupported, nil),
      ("feed_forward_proj", nil, .invalidData, nil),
      ("d_model", "0", .invalidData, nil),
      ("num_layers", "1", .invalidData, "is not part of this model"),
      ("relative_attention_num_buckets", "30", .unsupported, nil),
    ].map { Case("text_encoder/config.json", $0.0, $0.1, $0.2, $0.3) }
    + [
      ("_class_name", "\"StableDiffusionPipeline\"", Kind.unsupported, nil),
      ("vae", "[\"diffusers\", \"AsymmetricAutoencoderKL\"]", .unsupported, nil),
      ("text_encoder", nil, .invalidData, nil),
    ].map { Case("model_index.json", $0.0, $0.1, $0.2, $0.3) }

  @Test(arguments: backbone + others)
  func refuses(_ wrong: Case) throws {
    var model = try MemoryModel(golden: "pixart-alpha")
    try model.edit(wrong.file, wrong.key, json: wrong.value)
    let folder = model.folder()
    let error = #expect(throws: SparseDiTError.self) {
      try Pipeline(model: folder, options: PipelineOptions(precision: .f32, threads: 1))
    }
    switch (wrong.kind, error) {
    case (.unsupported, .unsupported(let message)), (.invalidData, .invalidData(let message)):
      #expect(message.contains(wrong.words), "\(message)")
      #expect(!message.contains("\n"))
    default:
      Issue.record("\(String(describing: error))")
    }
  }

  /// What PixArt was first published as: the older class, with its keys.
  @Test func readsTransformer2DModel() throws {
    var model = try MemoryModel(golden: "pixart-alpha")
    try model.edit("transformer/config.json", "_class_name", json: "\"Transformer2DModel\"")
    for key in ["only_cross_attention", "double_self_attention", "use_linear_projection"] {
      try model.edit("transformer/config.json", key, json: "false")
    }
    try model.edit("transformer/config.json", "num_vector_embeds", json: "null")
    let request = GenerationRequest(prompt: "a cat", width: 64, height: 64, steps: 1)
    let images = try [model, MemoryModel(golden: "pixart-alpha")].map { model in
      try Pipeline(
        model: model.folder(), options: PipelineOptions(precision: .f32, threads: 1)
      ).generate(request).images
    }
    #expect(images[0] == images[1])
    // Its defaults are not PixArt's: without the keys it would be another network.
    try model.edit("transformer/config.json", "norm_elementwise_affine", json: nil)
    let folder = model.folder()
    #expect(throws: SparseDiTError.self) { try Pipeline(model: folder) }
  }
}
