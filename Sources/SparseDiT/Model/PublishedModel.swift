import Tensors

/// A model that papers call by name, as the configuration files that it would have: enough for its
/// costs, and for random weights of its sizes.
package struct PublishedModel: Sendable {
  package let name: String
  package let backbone: ConfigObject
  /// Nil where no text is read.
  let textEncoder: ConfigObject?
  let autoencoder: ConfigObject
  /// Tokens that prompts are padded to; 0 where no text is read.
  package let promptTokens: Int

  /// DiT by size and patch, and PixArt-α.
  package static let names =
    DiTSize.allCases.flatMap { size in [2, 4, 8].map { "DiT-\(size.rawValue)/\($0)" } }
    + [pixArtName]
  private static let pixArtName = "PixArt-XL/2"

  /// - Parameter isSparse: whether it has the parts of a SparseDiT.
  /// - Throws: `invalidArgument` with the list of names.
  package init(named name: String, isSparse: Bool = true) throws(SparseDiTError) {
    self.name = name
    if name == Self.pixArtName {
      backbone = Self.pixArt(name, isSparse ? DiTSize.extraLarge.layout : nil)
      textEncoder = Self.t5XXL
      promptTokens = 120
    } else if let (size, patch) = Self.sizeAndPatch(name) {
      backbone = Self.dit(name, size, patch: patch, isSparse ? size.layout : nil)
      textEncoder = nil
      promptTokens = 0
    } else {
      throw .invalidArgument(
        "no backbone is called \(JSONValue.quoted(name)); known are "
          + Self.names.joined(separator: ", "))
    }
    autoencoder = Self.stableDiffusionVAE
  }

  private static func sizeAndPatch(_ name: String) -> (DiTSize, Int)? {
    for size in DiTSize.allCases {
      for patch in [2, 4, 8] where name == "DiT-\(size.rawValue)/\(patch)" { return (size, patch) }
    }
    return nil
  }

  /// Source: DiT (arXiv 2212.09748), table 1.
  private enum DiTSize: String, CaseIterable {
    case small = "S"
    case base = "B"
    case large = "L"
    case extraLarge = "XL"

    var depth: Int {
      switch self {
      case .small, .base: 12
      case .large: 24
      case .extraLarge: 28
      }
    }

    var heads: Int {
      switch self {
      case .small: 6
      case .base: 12
      case .large, .extraLarge: 16
      }
    }

    var headWidth: Int { self == .extraLarge ? 72 : 64 }

    /// SparseDiT gives its layout for 28 blocks only. Others are divided in the same spirit, into
    /// more than one module, since one alone does not train.
    var layout: BlockLayout {
      switch self {
      case .small, .base:
        BlockLayout(
          poolingformer: 1, modules: 2, module: SparseDenseTokenModule(sparse: 2, dense: 1),
          top: 1)
      case .large, .extraLarge:
        BlockLayout(
          poolingformer: 2, modules: self == .large ? 3 : 4,
          module: SparseDenseTokenModule(sparse: 3, dense: 1), top: self == .large ? 4 : 2)
      }
    }
  }

  private static func dit(
    _ name: String, _ size: DiTSize, patch: Int, _ layout: BlockLayout?
  ) -> ConfigObject {
    ConfigObject(
      name: name,
      members: [
        "_class_name": .string("DiTTransformer2DModel"), "norm_type": .string("ada_norm_zero"),
        "num_attention_heads": .integer(size.heads), "attention_head_dim": .integer(size.headWidth),
        "num_layers": .integer(size.depth), "patch_size": .integer(patch),
        "in_channels": .integer(4), "out_channels": .integer(8), "sample_size": .integer(32),
        "num_embeds_ada_norm": .integer(1000), "activation_fn": .string("gelu-approximate"),
        "sparsity": layout.map(sparsity) ?? .null,
      ])
  }

  private static func pixArt(_ name: String, _ layout: BlockLayout?) -> ConfigObject {
    ConfigObject(
      name: name,
      members: [
        "_class_name": .string("PixArtTransformer2DModel"), "num_attention_heads": .integer(16),
        "attention_head_dim": .integer(72), "num_layers": .integer(28), "patch_size": .integer(2),
        "in_channels": .integer(4), "out_channels": .integer(8), "sample_size": .integer(32),
        "caption_channels": .integer(4096), "cross_attention_dim": .integer(1152),
        "use_additional_conditions": .bool(false), "activation_fn": .string("gelu-approximate"),
        "sparsity": layout.map(sparsity) ?? .null,
      ])
  }

  private static func sparsity(_ layout: BlockLayout) -> JSONValue {
    let module = [1, layout.module.sparse, 1, layout.module.dense].map(JSONValue.integer)
    return .object([
      "poolingformer": .integer(layout.poolingformer), "modules": .integer(layout.modules),
      "module_layout": .array(module), "top": .integer(layout.top),
    ])
  }

  /// T5 v1.1 XXL, which PixArt reads its prompts with.
  private static let t5XXL = ConfigObject(
    name: "T5 v1.1 XXL",
    members: [
      "feed_forward_proj": .string("gated-gelu"), "vocab_size": .integer(32_128),
      "d_model": .integer(4096), "num_heads": .integer(64), "d_kv": .integer(64),
      "d_ff": .integer(10_240), "num_layers": .integer(24),
    ])

  /// Stable Diffusion's, which DiT and PixArt-α draw with.
  private static let stableDiffusionVAE = ConfigObject(
    name: "Stable Diffusion's VAE",
    members: [
      "latent_channels": .integer(4), "layers_per_block": .integer(2),
      "block_out_channels": .array([128, 256, 512, 512].map(JSONValue.integer)),
      "up_block_types": .array(
        [JSONValue](repeating: .string("UpDecoderBlock2D"), count: 4)),
    ])
}
