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
