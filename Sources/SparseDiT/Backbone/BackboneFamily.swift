import Tensors

/// Whose network a `transformer/config.json` describes, by its `_class_name`: this decides the names
/// of the weights, the defaults of the keys, and what differs in the arithmetic.
package enum BackboneFamily: Sendable, Hashable {
  /// diffusers' `PixArtTransformer2DModel`: reads text, adaLN-single.
  case pixArt
  /// diffusers' `DiTTransformer2DModel`: draws classes, adaLN-zero.
  case dit
  /// `DiT`, the class of that name in the code of DiT's and SparseDiT's authors.
  case originalDiT

  /// The class that diffusers once saved all of its transformers as; `norm_type` tells them apart.
  static let olderClass = "Transformer2DModel"

  init(_ config: ConfigObject) throws(SparseDiTError) {
    let pixArtClass = "PixArtTransformer2DModel"
    let saved = try config.string(
      "_class_name", oneOf: [pixArtClass, "DiTTransformer2DModel", Self.olderClass, "DiT"],
      default: pixArtClass)
    switch saved {
    case "DiTTransformer2DModel": self = .dit
    case "DiT": self = .originalDiT
    case Self.olderClass:
      let types = [Self.pixArt, .dit].map(\.normType)
      self = try config.string("norm_type", oneOf: types) == Self.dit.normType ? .dit : .pixArt
    default: self = .pixArt
    }
    try config.require("norm_type", equals: normType)
  }

  /// The one value that the key `norm_type` may have.
  private var normType: String { self == .pixArt ? "ada_norm_single" : "ada_norm_zero" }
}

/// What a backbone draws by, beside the timestep.
package enum BackboneConditioning: Sendable, Hashable {
  case text(Text)
  case label(Label)

  /// Text features, which every block reads by cross-attention.
  package struct Text: Sendable, Hashable {
    /// Channels of the text features, where a projection takes them to the width of the backbone.
    package let captionChannels: Int?
    /// Channels of what the cross-attention reads.
    package let crossChannels: Int
    /// Whether size and aspect ratio of the picture join the timestep (the 1024 models).
    package let usesPictureSize: Bool

    /// Channels that `prepareText` expects.
    package var channels: Int { captionChannels ?? crossChannels }
  }

  /// A class label, whose embedding joins the timestep's.
  package struct Label: Sendable, Hashable {
    /// Labels are 0 ..< classes; `classes` itself, the last row of the table, stands for no class.
    package let classes: Int
    /// What is taken from the number of waves in the timestep's frequencies, see ``SinusoidalEmbedding``.
    let frequencyShift: Int
  }
}

extension BackboneConditioning.Text {
  init(_ config: ConfigObject, sampleSize: Int) throws(SparseDiTError) {
    captionChannels =
      config.contains("caption_channels")
      ? try config.int("caption_channels", in: 1...65_536) : nil
    crossChannels = try config.int("cross_attention_dim", in: 1...65_536)
    usesPictureSize = try config.bool("use_additional_conditions", default: sampleSize == 128)
  }

  /// - Throws: `unsupported` where the parts do not fit the width of the backbone.
  func check(width: Int, _ name: String) throws(SparseDiTError) {
    if captionChannels != nil, crossChannels != width {
      throw .unsupported(
        "\(name): cross_attention_dim \(crossChannels) must equal the width \(width)"
          + " when caption_channels is set")
    }
    if usesPictureSize, width % 3 != 0 {
      throw .unsupported(
        "\(name): use_additional_conditions needs a width that is a multiple of 3, not \(width)")
    }
  }
}

extension BackboneConditioning.Label {
  init(_ config: ConfigObject, _ family: BackboneFamily, isOlder: Bool) throws(SparseDiTError) {
    try config.requireNull("caption_channels")
    try config.requireNull("cross_attention_dim")
    try config.require("interpolation_scale", equals: 1.0)
    let (key, range) = ("num_embeds_ada_norm", 1...1_000_000)
    classes =
      isOlder ? try config.int(key, in: range) : try config.int(key, in: range, default: 1000)
    // diffusers spaces the frequencies so that the last one is 1/10000; the authors do not.
    frequencyShift = family == .dit ? 1 : 0
  }
}
