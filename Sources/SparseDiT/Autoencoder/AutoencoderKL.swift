import Tensors

/// The decoder of a KL autoencoder: latents to pixels, for any size.
///
/// Source: latent diffusion (arXiv 2112.10752), with the weight names and arithmetic of diffusers'
/// `AutoencoderKL`. The encoder's weights, if the file has them, are left alone.
package struct AutoencoderKL: Sendable {
  let config: AutoencoderConfig
  let postQuant: Convolution?
  let input: Convolution
  let middle: (first: ResidualBlock, attention: ImageAttention?, second: ResidualBlock)
  let levels: [DecoderLevel]
  let outputNorm: GroupNorm
  let output: Convolution
  package let weights: NamedWeights

  package var latentChannels: Int { config.latentChannels }
  /// Pixels per latent a side.
  package var scale: Int { config.scale }

  /// Reads the weights in `vae/` of a model folder.
  package init(
    _ config: AutoencoderConfig, _ folder: ModelFolder, precision: Precision,
    budget: WeightBudget?
  ) throws(SparseDiTError) {
    self.config = config
    let reader = try folder.weights(
      "vae", base: "diffusion_pytorch_model", precision: precision, budget: budget)
    let latents = config.latentChannels
    let coarsest = config.channels[config.channels.count - 1]
    let finest = config.channels[0]
    postQuant =
      config.hasPostQuantConvolution
      ? try reader.convolution("post_quant_conv", in: latents, out: latents, kernel: 1) : nil
    input = try reader.convolution(
      "decoder.conv_in", in: latents, out: coarsest, kernel: 3, padding: 1)
    let name = "decoder.mid_block"
    func residual(_ index: Int) throws(SparseDiTError) -> ResidualBlock {
      try ResidualBlock(reader, "\(name).resnets.\(index)", in: coarsest, out: coarsest, config)
    }
    middle = (
      try residual(0),
      config.hasMiddleAttention
        ? try ImageAttention(reader, "\(name).attentions.0", channels: coarsest, config) : nil,
      try residual(1)
    )
    var levels: [DecoderLevel] = []
    var channels = coarsest
    for (level, outputs) in config.channels.reversed().enumerated() {
      levels.append(try DecoderLevel(reader, level: level, in: channels, out: outputs, config))
      channels = outputs
    }
    self.levels = levels
    outputNorm = try GroupNorm(reader, "decoder.conv_norm_out", channels: finest, config)
    output = try reader.convolution("decoder.conv_out", in: finest, out: 3, kernel: 3, padding: 1)
    reader.ignore { $0.hasPrefix("encoder.") || $0.hasPrefix("quant_conv.") }
    try reader.finish()
    weights = reader.named
  }

  /// Decodes latents as the sampler leaves them; the scaling factor is divided out here.
  ///
  /// - Parameters:
  ///   - latents: f32 `[B, latentChannels, h, w]`.
  ///   - checkCancelled: called before each layer, and within the attention.
  /// - Returns: f32 `[B, 3, scale·h, scale·w]`, about −1 … 1.
  package func decode(
    _ latents: Tensor, on compute: Compute,
    checkCancelled: () throws(SparseDiTError) -> Void = {}
  ) throws(SparseDiTError) -> Tensor {
    // Each step lets go of the image before it, so that two are held, not all.
    var x = try compute.channelsLast(  // [B, h, w, latentChannels]
      try compute.scaled(latents, by: 1 / config.scalingFactor))
    if let postQuant { x = try compute.convolution(x, postQuant) }
    x = try compute.convolution(x, input)  // [B, h, w, C]
    func residual(_ block: ResidualBlock) throws(SparseDiTError) {
      try checkCancelled()
      x = try block.forward(x, on: compute)
    }
    try residual(middle.first)
    try checkCancelled()
    try middle.attention?.forward(x, on: compute, checkCancelled: checkCancelled)
    try residual(middle.second)
    for level in levels {
      for block in level.blocks { try residual(block) }
      if let upsampler = level.upsampler {
        try checkCancelled()
        x = try compute.upsampleNearest2x(x)  // [B, 2h, 2w, C]
        x = try compute.convolution(x, upsampler)
      }
    }
    try checkCancelled()
    x = try outputNorm.forward(x, silu: true, on: compute)
    x = try compute.convolution(x, output)  // [B, H, W, 3]
    return try compute.channelsFirst(x)
  }
}
