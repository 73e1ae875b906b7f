import Tensors

/// The keys of a `vae/config.json` (diffusers' `AutoencoderKL`) that shape the decoder.
package struct AutoencoderConfig: Sendable {
  let latentChannels: Int
  /// Channels of the levels, finest first.
  let channels: [Int]
  /// Residual blocks per level of the decoder: one more than the encoder has.
  let blocksPerLevel: Int
  let normGroups: Int
  let scalingFactor: Float
  let hasPostQuantConvolution: Bool
  let hasMiddleAttention: Bool
  let epsilon: Float = 1e-6

  /// Pixels per latent a side.
  var scale: Int { 1 << (channels.count - 1) }

  init(_ config: ConfigObject) throws(SparseDiTError) {
    try config.require("_class_name", equals: "AutoencoderKL")
    try config.require("act_fn", equals: "silu")
    try config.require("out_channels", equals: 3)
    // PixArt's pipelines of diffusers do not apply these; a model that has them is not one of theirs.
    for key in ["shift_factor", "latents_mean", "latents_std"] { try config.requireNull(key) }
    latentChannels = try config.int("latent_channels", in: 1...1024)
    channels = try config.ints("block_out_channels", in: 1...65_536, count: 1...8)
    blocksPerLevel = try config.int("layers_per_block", in: 1...100) + 1
    normGroups = try config.int("norm_num_groups", in: 1...1024, default: 32)
    scalingFactor = Float(try config.double("scaling_factor", default: 0.18215))
    hasPostQuantConvolution = try config.bool("use_post_quant_conv", default: true)
    hasMiddleAttention = try config.bool("mid_block_add_attention", default: true)

    let blocks = try config.strings("up_block_types", count: channels.count...channels.count)
    if let other = blocks.first(where: { $0 != "UpDecoderBlock2D" }) {
      throw .unsupported("\(config.name): up_block_types: \(other) (only UpDecoderBlock2D)")
    }
    if let odd = channels.first(where: { $0 % normGroups != 0 }) {
      throw .invalidData(
        "\(config.name): block_out_channels \(odd) is not a multiple of norm_num_groups \(normGroups)"
      )
    }
    guard scalingFactor.isNormal else {
      throw .invalidData("\(config.name): scaling_factor must not be 0")
    }
  }
}
