import Tensors

/// What drawing one picture costs, stage by stage, as this engine executes it.
package struct StageCosts: Sendable {
  /// The text encoder, on all prompts at once.
  package let textEncoder: Cost
  /// The keys and values that the blocks read of the prompts, with the caption projection before
  /// them: made once for all steps.
  package let textKeysValues: Cost
  /// The backbone's forwards, one per step, each of the whole batch. Of the modulation, which is made
  /// for several steps at once, each has its share.
  package let steps: [Cost]
  package let decoder: Cost
  /// Of a forward for one picture and one guidance half, averaged over the steps.
  package let multiplyAddsPerForward: Double

  package init(_ model: ModelOutline, _ work: Workload, format: NumberFormat) {
    textEncoder =
      model.condition.text?.cost(prompts: work.batch, length: work.textTokens, format) ?? .zero
    let forward = ForwardCost(
      model.backbone, batch: work.batch, sharesLatents: true, textTokens: work.textTokens,
      format: format)
    textKeysValues = forward.text
    steps = work.plans.enumerated().map { index, plan in
      let first = index - index % Self.stepsAtOnce
      return forward.step(plan, among: min(Self.stepsAtOnce, work.plans.count - first))
    }
    decoder = model.autoencoder.cost(
      latentHeight: work.latentHeight, latentWidth: work.latentWidth, format)
    multiplyAddsPerForward =
      steps.total.multiplyAdds / Double(max(steps.count, 1) * work.batch)
  }

  /// Steps whose modulation is made at once: enough that reading its weights no longer counts, few
  /// enough that keeping it does not.
  package static let stepsAtOnce = 16

  /// All stages.
  package var total: Cost { textEncoder + textKeysValues + steps.total + decoder }
}

extension T5Config {
  /// Encoding `prompts` prompts of `length` tokens each.
  func cost(prompts: Int, length: Int, _ format: NumberFormat) -> Cost {
    let (length, width, hidden) = (Double(length), Double(width), Double(hidden))
    let tokens = Double(prompts) * length
    let inner = Double(heads * headWidth)
    func linear(_ inputs: Double, _ outputs: Double) -> Cost {
      format.linear(rows: tokens, inputs, outputs, bias: false)
    }
    let attention =
      3 * linear(width, inner) + format.attention(queries: tokens, keys: length, width: inner)
      + linear(inner, width)
    let feedForward = 2 * linear(width, hidden) + linear(hidden, width)
    var cost = layers * (attention + feedForward)
    // Besides x and the position bias: the norm and four projections of it, or two hidden layers.
    let bias = Double(heads) * length * length
    cost.activationBytes +=
      format.floatBytes(tokens * width + bias)
      + format.activationBytes(tokens * (width + max(4 * inner, 2 * hidden)))
    return cost
  }
}

extension AutoencoderConfig {
  /// Decoding one picture; the stages are those of ``AutoencoderKL``.
  func cost(latentHeight: Int, latentWidth: Int, _ format: NumberFormat) -> Cost {
    var places = Double(latentHeight) * Double(latentWidth)
    var inputs = Double(channels[channels.count - 1])
    var cost = entry(places: places, inputs, format)
    for (level, outputs) in channels.reversed().map(Double.init).enumerated() {
      cost = cost + residualBlock(places: places, inputs, outputs, format)
      cost =
        cost + (blocksPerLevel - 1) * residualBlock(places: places, outputs, outputs, format)
      inputs = outputs
      guard level < channels.count - 1 else { break }
      places *= 4
      var upsampler = format.convolution(places: places, outputs, outputs)
      // The image, the upsampled one and its convolution.
      upsampler.activationBytes += format.floatBytes(places * outputs * (1 / 4 + 2))
      cost = cost + upsampler
    }
    var output = format.convolution(places: places, inputs, 3)
    output.activationBytes +=
      format.floatBytes(places * (inputs + 3 * 2)) + format.activationBytes(places * inputs)
    return cost + output
  }

  /// From latents to the end of the middle block, at the coarsest level.
  private func entry(places: Double, _ width: Double, _ format: NumberFormat) -> Cost {
    let latents = Double(latentChannels)
    let postQuant =
      hasPostQuantConvolution
      ? format.convolution(places: places, latents, latents, kernel: 1) : .zero
    let convolution = format.convolution(places: places, latents, width)
    let blocks = 2 * residualBlock(places: places, width, width, format)
    return postQuant + convolution + blocks
      + (hasMiddleAttention ? attention(places: places, width, format) : .zero)
  }

  private func residualBlock(
    places: Double, _ inputs: Double, _ outputs: Double, _ format: NumberFormat
  ) -> Cost {
    var cost =
      format.convolution(places: places, inputs, outputs)
      + format.convolution(places: places, outputs, outputs)
    if inputs != outputs {
      cost = cost + format.convolution(places: places, inputs, outputs, kernel: 1)
    }
    // The image, its norm, a hidden image and the result.
    cost.activationBytes +=
      places * (format.floatBytes(inputs + 2 * outputs) + format.activationBytes(inputs))
    return cost
  }

  private func attention(places: Double, _ width: Double, _ format: NumberFormat) -> Cost {
    var cost =
      4 * format.linear(rows: places, width, width)
      + format.attention(queries: places, keys: places, width: width)
    // The image, its norm, q, k, v and the result.
    cost.activationBytes +=
      places * (format.floatBytes(width) + format.activationBytes(5 * width))
    return cost
  }
}
