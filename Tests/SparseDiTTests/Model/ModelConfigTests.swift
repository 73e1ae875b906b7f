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

  static let backbone: [Case] = [
    Case("transformer/config.json", "_class_name", "\"SD3Transformer2DModel\"", .unsupported),
    Case("transformer/config.json", "norm_type", "\"ada_norm_zero\"", .unsupported),
    Case("transformer/config.json", "norm_elementwise_affine", "true", .unsupported),
    Case("transformer/config.json", "activation_fn", "\"geglu\"", .unsupported),
    Case("transformer/config.json", "attention_type", "\"gated\"", .unsupported),
    Case("transformer/config.json", "only_cross_attention", "true", .unsupported),
    Case("transformer/config.json", "double_self_attention", "true", .unsupported),
    Case("transformer/config.json", "num_vector_embeds", "8", .unsupported),
    Case("transformer/config.json", "num_layers", nil, .invalidData),
    Case("transformer/config.json", "num_layers", "\"2\"", .invalidData),
    Case("transformer/config.json", "num_layers", "-1", .invalidData),
    Case("transformer/config.json", "num_layers", "1", .invalidData, "is not part of this model"),
    Case("transformer/config.json", "num_layers", "999", .invalidData, "is missing"),
    Case(
      "transformer/config.json", "num_attention_heads", "1", .unsupported, "cross_attention_dim"),
    Case("transformer/config.json", "cross_attention_dim", nil, .invalidData),
    Case("transformer/config.json", "cross_attention_dim", "100", .unsupported),
    Case("transformer/config.json", "attention_bias", "false", .invalidData, "bias"),
    Case("transformer/config.json", "in_channels", "8", .invalidData),
    Case(
      "transformer/config.json", "use_additional_conditions", "true", .invalidData,
      "resolution_embedder"),
    Case("transformer/config.json", "interpolation_scale", "0", .invalidData),
    Case("transformer/config.json", "sample_size", "7", .invalidData),
    Case("transformer/config.json", "sparsity", "3", .invalidData),
    Case("transformer/config.json", "sparsity", "{\"rate\": 0.5}", .unsupported, "rate"),
    Case("transformer/config.json", "sparsity", "{}", .invalidData, "28 blocks"),
    Case(
      "transformer/config.json", "sparsity", "{\"module_layout\": [2, 3, 1, 1]}", .unsupported,
      "module_layout"),
    Case(
      "transformer/config.json", "sparsity", "{\"module_layout\": [1, 3, 1]}", .invalidData,
      "module_layout"),
    Case("transformer/config.json", "sparsity", "{\"rates\": [0.9, 0.1]}", .invalidData, "rates"),
    Case(
      "transformer/config.json", "sparsity", "{\"schedule\": \"cosine\"}", .unsupported, "schedule"),
    Case(
      "transformer/config.json", "sparsity", "{\"position_embedding_again\": 1}", .invalidData,
      "position_embedding_again"),
  ]

  static let autoencoder: [Case] = [
    Case("vae/config.json", "up_block_types", "[\"AttnUpDecoderBlock2D\"]", .invalidData),
    Case("vae/config.json", "act_fn", "\"relu\"", .unsupported),
    Case("vae/config.json", "shift_factor", "0.1", .unsupported),
    Case("vae/config.json", "latents_mean", "[0, 0, 0, 0]", .unsupported),
    Case("vae/config.json", "latents_std", "[1, 1, 1, 1]", .unsupported),
    Case("vae/config.json", "scaling_factor", "0", .invalidData),
    Case("vae/config.json", "norm_num_groups", "3", .invalidData),
    Case("vae/config.json", "layers_per_block", nil, .invalidData),
    Case("vae/config.json", "out_channels", "4", .unsupported),
    Case("vae/config.json", "latent_channels", "8", .invalidData),
  ]

  static let textEncoder: [Case] = [
    Case("text_encoder/config.json", "feed_forward_proj", "\"relu\"", .unsupported),
    Case("text_encoder/config.json", "feed_forward_proj", nil, .invalidData),
    Case("text_encoder/config.json", "dense_act_fn", "\"relu\"", .unsupported),
    Case("text_encoder/config.json", "is_gated_act", "false", .unsupported),
    Case("text_encoder/config.json", "layer_norm_epsilon", "-1", .invalidData),
    Case("text_encoder/config.json", "d_model", "0", .invalidData),
    Case("text_encoder/config.json", "num_layers", "1", .invalidData, "is not part of this model"),
    Case("text_encoder/config.json", "relative_attention_num_buckets", "30", .unsupported),
  ]

  static let index: [Case] = [
    Case("model_index.json", "_class_name", "\"StableDiffusionPipeline\"", .unsupported),
    Case("model_index.json", "vae", "[\"diffusers\", \"AsymmetricAutoencoderKL\"]", .unsupported),
    Case("model_index.json", "text_encoder", nil, .invalidData),
  ]

  @Test(arguments: backbone + autoencoder + textEncoder + index)
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
    // Its defaults differ from PixArt's: without the keys it would be another network.
    try model.edit("transformer/config.json", "norm_elementwise_affine", json: nil)
    let folder = model.folder()
    #expect(throws: SparseDiTError.self) { try Pipeline(model: folder) }
  }
}
