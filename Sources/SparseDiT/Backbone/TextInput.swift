import Tensors

/// Text features, which every block reads by cross-attention.
package struct TextInput: Sendable, Hashable {
  /// Channels of the text features, where a projection takes them to the width of the backbone.
  package let captionChannels: Int?
  /// Channels of what the cross-attention reads.
  package let crossChannels: Int
  /// Whether size and aspect ratio of the picture join the timestep (the 1024 models).
  package let usesPictureSize: Bool

  /// Channels that `prepareText` expects.
  package var channels: Int { captionChannels ?? crossChannels }

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
