import Tensors

/// The keys of a `transformer/config.json` that shape the backbone: those of diffusers'
/// `PixArtTransformer2DModel` and `DiTTransformer2DModel` (also saved as `Transformer2DModel`), and
/// `"sparsity"`.
package struct BackboneConfig: Sendable {
  package let family: BackboneFamily
  /// What it draws by, besides the timestep.
  package let condition: Condition<TextInput, ClassInput>
  package let heads: Int
  package let headWidth: Int
  package let depth: Int
  package let patch: Int
  package let inChannels: Int
  package let outChannels: Int
  /// Latents a side of the pictures it was trained on.
  package let sampleSize: Int
  let attentionBias: Bool
  let activation: Activation
  /// ε of the norm before the attention, and of the one before the feed-forward.
  let attentionEpsilon: Float
  let feedForwardEpsilon: Float
  let interpolationScale: Double
  package let sparsity: SparsityConfig?

  /// Whether the prediction is followed by a variance of as many channels.
  package var predictsVariance: Bool { outChannels == 2 * inChannels }
  /// D, the width of a token.
  package var width: Int { heads * headWidth }
  /// 1/√(head width), of the dot products.
  var attentionScale: Float { 1 / Float(headWidth).squareRoot() }
  /// Nil where the backbone reads no text.
  package var text: TextInput? { condition.text }
  /// Nil where the backbone draws no classes.
  package var classes: ClassInput? { condition.classes }
  /// Channels that `prepareText` expects; 0 where the backbone reads no text.
  package var textChannels: Int { text?.channels ?? 0 }
  /// Channels of the prediction that guidance acts on, from the first: all of them in diffusers'
  /// pipelines, three in the code of DiT's authors.
  package var guidedChannels: Int { family == .originalDiT ? min(3, inChannels) : inChannels }

  package init(_ config: ConfigObject) throws(SparseDiTError) {
    family = try BackboneFamily(config)
    // The older class has other defaults; where those are unsupported, the key must be there.
    let isOlder = try config.string("_class_name", default: "") == BackboneFamily.olderClass
    try Self.refuseUnsupported(config, isOlder: isOlder)
    heads = try config.int("num_attention_heads", in: 1...1024)
    headWidth = try config.int("attention_head_dim", in: 1...4096)
    depth = try config.int("num_layers", in: 1...1000)
    patch = try config.int("patch_size", in: 1...64)
    inChannels = try config.int("in_channels", in: 1...1024)
    outChannels = try config.int("out_channels", in: 1...1024, default: inChannels)
    sampleSize = try config.int("sample_size", in: patch...4096)
    attentionBias = try config.bool("attention_bias", default: !isOlder)
    activation = try Self.activation(config, isRequired: family == .pixArt || isOlder)
    switch family {
    case .pixArt:
      condition = .text(try TextInput(config, sampleSize: sampleSize))
      feedForwardEpsilon = try Self.epsilon(config, default: isOlder ? 1e-5 : 1e-6)
      attentionEpsilon = feedForwardEpsilon
      interpolationScale = try config.double(
        "interpolation_scale", in: 1e-3...1e3, default: Double(max(sampleSize / 64, 1)))
    case .dit, .originalDiT:
      condition = .classes(try ClassInput(config, family, isOlder: isOlder))
      // In diffusers the key has no effect on the first norm.
      feedForwardEpsilon = try Self.epsilon(config, default: family == .dit ? 1e-5 : 1e-6)
      attentionEpsilon = 1e-6
      interpolationScale = 1
    }
    sparsity =
      if let object = try config.object("sparsity") {
        try SparsityConfig(object)
      } else { nil }
    try checkWidths(config.name)
    if sampleSize % patch != 0 {
      throw .invalidData(
        "\(config.name): sample_size \(sampleSize) is not a multiple of patch_size \(patch)")
    }
  }

  /// Settings with one supported value. Anything else must not be ignored: the picture would be
  /// wrong. (`dropout`, `norm_num_groups`, `use_linear_projection` change nothing here, and
  /// `upcast_attention` nothing where softmax is f32 anyway.)
  private static func refuseUnsupported(
    _ config: ConfigObject, isOlder: Bool
  ) throws(SparseDiTError) {
    if isOlder { _ = try config.bool("norm_elementwise_affine") }
    try config.require("norm_elementwise_affine", equals: false)
    try config.require("attention_type", equals: "default")
    try config.require("only_cross_attention", equals: false)
    try config.require("double_self_attention", equals: false)
    try config.requireNull("num_vector_embeds")
  }

  private static func activation(
    _ config: ConfigObject, isRequired: Bool
  ) throws(SparseDiTError) -> Activation {
    let (key, tanhForm) = ("activation_fn", "gelu-approximate")
    let choices = [tanhForm, "gelu"]
    let name =
      isRequired
      ? try config.string(key, oneOf: choices)
      : try config.string(key, oneOf: choices, default: tanhForm)
    return name == tanhForm ? .gelu : .geluErf
  }

  private static func epsilon(
    _ config: ConfigObject, default fallback: Double
  ) throws(SparseDiTError) -> Float {
    Float(try config.double("norm_eps", in: 0...1, default: fallback))
  }

  private func checkWidths(_ name: String) throws(SparseDiTError) {
    if width % 4 != 0 {
      throw .unsupported(
        "\(name): num_attention_heads × attention_head_dim = \(width) must be a multiple of 4")
    }
    try text?.check(width: width, name)
    if let sparsity, sparsity.layout.depth != depth {
      throw .invalidData(
        "\(name): the sparsity layout has \(sparsity.layout.depth) blocks, num_layers is \(depth)")
    }
  }
}
