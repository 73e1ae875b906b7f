import Tensors

/// The keys of a `transformer/config.json` that shape the backbone: diffusers'
/// `PixArtTransformer2DModel` (also saved as `Transformer2DModel`), and `"sparsity"`.
package struct BackboneConfig: Sendable {
  package let heads: Int
  package let headWidth: Int
  package let depth: Int
  package let patch: Int
  package let inChannels: Int
  package let outChannels: Int
  /// Latents a side of the pictures it was trained on.
  package let sampleSize: Int
  /// Channels of the text features, and of what the cross-attention reads.
  package let captionChannels: Int?
  package let crossChannels: Int
  let attentionBias: Bool
  let activation: Activation
  let epsilon: Float
  let interpolationScale: Double
  /// Whether size and aspect ratio of the picture join the timestep (the 1024 models).
  package let usesPictureSize: Bool
  package let sparsity: SparsityConfig?

  /// Whether the prediction is followed by a variance of as many channels.
  package var predictsVariance: Bool { outChannels == 2 * inChannels }
  /// D, the width of a token.
  package var width: Int { heads * headWidth }
  /// 1/√(head width), of the dot products.
  var attentionScale: Float { 1 / Float(headWidth).squareRoot() }
  /// Channels that `prepareText` expects.
  package var textChannels: Int { captionChannels ?? crossChannels }

  package init(_ config: ConfigObject) throws(SparseDiTError) {
    let classes = ["PixArtTransformer2DModel", "Transformer2DModel"]
    let saved = try config.string("_class_name", oneOf: classes, default: classes[0])
    try Self.refuseUnsupported(config)
    // The older class has other defaults; where those are unsupported, the key must be there.
    let older = saved == classes[1]
    if older {
      _ = try config.string("norm_type")
      _ = try config.bool("norm_elementwise_affine")
    }
    heads = try config.int("num_attention_heads", in: 1...1024)
    headWidth = try config.int("attention_head_dim", in: 1...4096)
    depth = try config.int("num_layers", in: 1...1000)
    patch = try config.int("patch_size", in: 1...64)
    inChannels = try config.int("in_channels", in: 1...1024)
    outChannels = try config.int("out_channels", in: 1...1024, default: inChannels)
    sampleSize = try config.int("sample_size", in: patch...4096)
    captionChannels =
      config.contains("caption_channels")
      ? try config.int("caption_channels", in: 1...65_536) : nil
    crossChannels = try config.int("cross_attention_dim", in: 1...65_536)
    attentionBias = try config.bool("attention_bias", default: !older)
    let smooth = try config.string("activation_fn", oneOf: ["gelu-approximate", "gelu"])
    activation = smooth == "gelu" ? .geluErf : .gelu
    epsilon = Float(try config.double("norm_eps", in: 0...1, default: older ? 1e-5 : 1e-6))
    interpolationScale = try config.double(
      "interpolation_scale", in: 1e-3...1e3, default: Double(max(sampleSize / 64, 1)))
    usesPictureSize = try config.bool("use_additional_conditions", default: sampleSize == 128)
    sparsity =
      if let object = try config.object("sparsity") {
        try SparsityConfig(object)
      } else { nil }
    try checkWidths(config.name)
  }

  /// Settings with one supported value. Anything else must not be ignored: the picture would be
  /// wrong. (`dropout`, `norm_num_groups`, `num_embeds_ada_norm`, `use_linear_projection` change
  /// nothing here, and `upcast_attention` nothing where softmax is f32 anyway.)
  private static func refuseUnsupported(_ config: ConfigObject) throws(SparseDiTError) {
    try config.require("norm_type", equals: "ada_norm_single")
    try config.require("norm_elementwise_affine", equals: false)
    try config.require("attention_type", equals: "default")
    try config.require("only_cross_attention", equals: false)
    try config.require("double_self_attention", equals: false)
    try config.requireNull("num_vector_embeds")
  }

  private func checkWidths(_ name: String) throws(SparseDiTError) {
    if width % 4 != 0 {
      throw .unsupported(
        "\(name): num_attention_heads × attention_head_dim = \(width) must be a multiple of 4")
    }
    if captionChannels != nil, crossChannels != width {
      throw .unsupported(
        "\(name): cross_attention_dim \(crossChannels) must equal the width \(width)"
          + " when caption_channels is set")
    }
    if usesPictureSize, width % 3 != 0 {
      throw .unsupported(
        "\(name): use_additional_conditions needs a width that is a multiple of 3, not \(width)")
    }
    if let sparsity, sparsity.layout.depth != depth {
      throw .invalidData(
        "\(name): the sparsity layout has \(sparsity.layout.depth) blocks, num_layers is \(depth)")
    }
  }
}

/// The `"sparsity"` object of a SparseDiT checkpoint's configuration. Absent keys take the paper's
/// values.
package struct SparsityConfig: Sendable {
  package let layout: BlockLayout
  package let pruning: Pruning
  /// Whether the position table is added again where tokens change density.
  package let positionsAgain: Bool

  /// How many tokens it was trained to keep, at which timestep.
  package enum Pruning: Sendable {
    case rates(TokenRates, TokenScheduleKind)
    /// `"schedule": "table"`, with the rows under `"table"`.
    case table(TokenTable)
  }

  /// nil where a table stands in their place.
  package var rates: TokenRates? {
    if case .rates(let rates, _) = pruning { rates } else { nil }
  }

  private static let keys: Set = [
    "poolingformer", "modules", "module_layout", "top", "rates", "schedule", "table",
    "position_embedding_again",
  ]

  init(_ config: ConfigObject) throws(SparseDiTError) {
    if let key = config.keys.first(where: { !Self.keys.contains($0) }) {
      throw .unsupported("\(config.name): unknown key \(key) in \"sparsity\"")
    }
    let module =
      config.contains("module_layout")
      ? try config.ints("module_layout", in: 0...1000, count: 4...4) : [1, 3, 1, 1]
    guard module[0] == 1, module[2] == 1 else {
      throw .unsupported("\(config.name): module_layout \(module): must be [1, sparse, 1, dense]")
    }
    layout = BlockLayout(
      poolingformer: try config.int("poolingformer", in: 0...1000, default: 2),
      modules: try config.int("modules", in: 0...1000, default: 4),
      module: SparseDenseTokenModule(sparse: module[1], dense: module[3]),
      top: try config.int("top", in: 0...1000, default: 2))
    pruning = try Self.pruning(config)
    positionsAgain = try config.bool("position_embedding_again", default: false)
  }

  private static func pruning(_ config: ConfigObject) throws(SparseDiTError) -> Pruning {
    let kinds = TokenScheduleKind.allCases.map(\.rawValue)
    let name = try config.string("schedule", oneOf: kinds + ["table"], default: "linear")
    guard let kind = TokenScheduleKind(rawValue: name) else {
      if config.contains("rates") {
        throw .invalidData("\(config.name): sparsity.rates and sparsity.table exclude each other")
      }
      return .table(try TokenTable(config))
    }
    if config.contains("table") {
      throw .invalidData("\(config.name): sparsity.table needs \"schedule\": \"table\"")
    }
    let rates =
      config.contains("rates") ? try config.doubles("rates", count: 2...2) : [0.61, 0.86]
    do throws(SparseDiTError) {
      return .rates(try TokenRates(min: rates[0], max: rates[1]), kind)
    } catch {
      throw .invalidData("\(config.name): sparsity.rates: \(error)")
    }
  }
}
