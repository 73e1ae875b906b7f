import Tensors

// Images are channels-last: [B, H, W, C], f32 between the layers.

/// Group normalisation with a weight and a bias per channel, followed by SiLU where asked.
struct GroupNorm: Sendable {
  let weight: Tensor
  let bias: Tensor
  let groups: Int
  let epsilon: Float

  init(
    _ reader: WeightReader, _ name: String, channels: Int, _ config: AutoencoderConfig
  ) throws(SparseDiTError) {
    weight = try reader.tensor("\(name).weight", [channels])
    bias = try reader.tensor("\(name).bias", [channels])
    groups = config.normGroups
    epsilon = config.epsilon
  }

  func forward(_ x: Tensor, silu: Bool, on compute: Compute) throws(SparseDiTError) -> Tensor {
    try compute.groupNorm(
      x, groups: groups, weight: weight, bias: bias, epsilon: epsilon, silu: silu)
  }
}

/// x + conv(silu(norm(conv(silu(norm(x)))))), with a 1×1 convolution of x where channels change.
struct ResidualBlock: Sendable {
  let firstNorm: GroupNorm
  let first: Convolution
  let secondNorm: GroupNorm
  let second: Convolution
  let shortcut: Convolution?

  init(
    _ reader: WeightReader, _ name: String, in inputs: Int, out outputs: Int,
    _ config: AutoencoderConfig
  ) throws(SparseDiTError) {
    firstNorm = try GroupNorm(reader, "\(name).norm1", channels: inputs, config)
    first = try reader.convolution("\(name).conv1", in: inputs, out: outputs, kernel: 3, padding: 1)
    secondNorm = try GroupNorm(reader, "\(name).norm2", channels: outputs, config)
    second = try reader.convolution(
      "\(name).conv2", in: outputs, out: outputs, kernel: 3, padding: 1)
    shortcut =
      inputs == outputs
      ? nil : try reader.convolution("\(name).conv_shortcut", in: inputs, out: outputs, kernel: 1)
  }

  /// x `[B, H, W, in]`, which may change, → `[B, H, W, out]`.
  func forward(_ x: Tensor, on compute: Compute) throws(SparseDiTError) -> Tensor {
    let hidden = try compute.convolution(firstNorm.forward(x, silu: true, on: compute), first)
    let residual = if let shortcut { try compute.convolution(x, shortcut) } else { x }
    try compute.convolution(
      secondNorm.forward(hidden, silu: true, on: compute), second, addingTo: residual)
    return residual
  }
}

/// Single-head attention over all places of an image: x + out(attention(norm(x))).
struct ImageAttention: Sendable {
  let norm: GroupNorm
  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear

  init(
    _ reader: WeightReader, _ name: String, channels: Int, _ config: AutoencoderConfig
  ) throws(SparseDiTError) {
    norm = try GroupNorm(reader, "\(name).group_norm", channels: channels, config)
    // Checkpoints older than diffusers 0.18 call the projections by the second name.
    func linear(_ part: String, _ older: String) throws(SparseDiTError) -> Linear {
      let part = reader.contains("\(name).\(older).weight") ? older : part
      return try reader.linear("\(name).\(part)", in: channels, out: channels)
    }
    query = try linear("to_q", "query")
    key = try linear("to_k", "key")
    value = try linear("to_v", "value")
    output = try linear("to_out.0", "proj_attn")
  }

  /// x `[B, H, W, C]`, in place.
  func forward(
    _ x: Tensor, on compute: Compute, checkCancelled: () throws(SparseDiTError) -> Void
  ) throws(SparseDiTError) {
    let shape: Shape = [x.shape[0], x.shape[1] * x.shape[2], x.shape[3]]
    let tokens = x.reshaped(shape)  // [B, H·W, C]
    let h = try norm.forward(tokens, silu: false, on: compute)
    let attended = try compute.attention(
      query: try compute.linear(h, query), key: try compute.linear(h, key),
      value: try compute.linear(h, value), heads: 1,
      scale: 1 / Float(shape.columns).squareRoot(), checkCancelled: checkCancelled)
    try compute.linear(attended, output, addingTo: tokens)
  }
}

/// One level of the decoder: residual blocks, then twice the size (not at the finest level).
struct DecoderLevel: Sendable {
  let blocks: [ResidualBlock]
  let upsampler: Convolution?

  init(
    _ reader: WeightReader, level: Int, in inputs: Int, out outputs: Int,
    _ config: AutoencoderConfig
  ) throws(SparseDiTError) {
    let name = "decoder.up_blocks.\(level)"
    var blocks: [ResidualBlock] = []
    for index in 0..<config.blocksPerLevel {
      blocks.append(
        try ResidualBlock(
          reader, "\(name).resnets.\(index)", in: index == 0 ? inputs : outputs, out: outputs,
          config))
    }
    self.blocks = blocks
    upsampler =
      level == config.channels.count - 1
      ? nil
      : try reader.convolution(
        "\(name).upsamplers.0.conv", in: outputs, out: outputs, kernel: 3, padding: 1)
  }
}
