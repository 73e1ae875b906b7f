import Tensors

@testable import SparseDiT

/// A small backbone with random weights of each kind that the engine runs.
enum SmallBackbone: CaseIterable {
  /// PixArt with and without the picture's size, DiT; as trained dense, and as trained sparse.
  case text, textAndSize, label, sparseText, sparseTextAndSize, sparseLabel

  static let textChannels = 20

  func load(_ precision: Precision) throws -> Backbone {
    try Backbone(
      randomFor: BackboneConfig(ConfigObject(name: "small", members: members)),
      precision: precision)
  }

  /// What a batch of `batch` pictures is to show, where text is L = 5 tokens.
  func condition(
    _ backbone: Backbone, batch: Int, on compute: Compute
  ) throws -> Condition<PreparedText, [Int]> {
    guard backbone.config.text != nil else { return .classes((0..<batch).map { $0 % 8 }) }
    let features = try Tensor(
      (0..<batch * 5 * Self.textChannels).map { Float($0 % 7) - 3 },
      [batch, 5, Self.textChannels])
    return .text(
      try backbone.prepareText(
        features, mask: [Float](repeating: 1, count: batch * 5),
        sizes: [PictureSize(height: 80, width: 112)], on: compute))
  }

  private var members: [String: JSONValue] {
    var members: [String: JSONValue] = [
      "num_attention_heads": .integer(3), "attention_head_dim": .integer(8),
      "num_layers": .integer(11), "patch_size": .integer(2), "in_channels": .integer(4),
      "out_channels": .integer(8), "sample_size": .integer(16),
      "activation_fn": .string("gelu-approximate"),
    ]
    switch self {
    case .text, .textAndSize, .sparseText, .sparseTextAndSize:
      members["_class_name"] = .string("PixArtTransformer2DModel")
      members["caption_channels"] = .integer(Self.textChannels)
      members["cross_attention_dim"] = .integer(24)
      members["use_additional_conditions"] = .bool(
        self == .textAndSize || self == .sparseTextAndSize)
    case .label, .sparseLabel:
      members["_class_name"] = .string("DiTTransformer2DModel")
      members["norm_type"] = .string("ada_norm_zero")
      members["num_embeds_ada_norm"] = .integer(7)
    }
    switch self {
    case .text, .textAndSize, .label: break
    case .sparseText, .sparseTextAndSize, .sparseLabel:
      members["sparsity"] = .object([
        "poolingformer": .integer(1), "modules": .integer(2),
        "module_layout": .array([1, 2, 1, 0].map(JSONValue.integer)), "top": .integer(2),
      ])
    }
    return members
  }
}
