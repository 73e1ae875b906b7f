import Tensors

/// What a request would cost, worked out from the plans that the backbone would follow.
package struct RequestCost: Sendable {
  /// Multiply-accumulates of one forward for one picture and one guidance half, averaged over the
  /// steps.
  package let multiplyAddsPerForward: Double
  /// Of all forwards of the request, with what they share (the keys and values of the text).
  package let multiplyAdds: Double
  /// Bytes of backbone weights that one forward reads, on average over the steps.
  package let weightBytes: Int
  /// Bytes that the request would hold at its worst moment, beside mapped files.
  package let peakBytes: Int
  /// Of one picture, with the prompts' stages, which all pictures of the request share.
  package let stages: StageCosts

  /// - Parameter promptTokens: that prompts are padded to; 0 where no text is read.
  init(
    _ request: GenerationRequest, _ sizes: ModelSizes, _ work: Workload, promptTokens: Int,
    format: NumberFormat
  ) {
    stages = StageCosts(sizes, work, format: format)
    let steps = stages.steps.total
    multiplyAddsPerForward = stages.multiplyAddsPerForward
    multiplyAdds = stages.textKeysValues.multiplyAdds + Double(request.count) * steps.multiplyAdds
    weightBytes = Int(clamping: steps.weightBytes / Double(max(work.plans.count, 1)))
    peakBytes = sizes.peakBytes(
      of: request, work.padded(to: promptTokens), format: format)
  }
}

extension Pipeline {
  /// - Throws: `invalidArgument` for a request that ``generate(_:control:)`` would refuse, except
  ///   for its memory.
  package func cost(of request: GenerationRequest) throws(SparseDiTError) -> RequestCost {
    let job = try GenerationJob(request, model: model, info: info)
    return RequestCost(
      request, model.sizes, job.workload(textTokens: try job.condition.textTokens),
      promptTokens: promptTokens, format: numberFormat)
  }

  /// Tokens that prompts are padded to; 0 where no text is read.
  var promptTokens: Int { model.conditioning.text?.maxTokens ?? 0 }

  var numberFormat: NumberFormat { NumberFormat(precision, activations: activationDType) }
}

extension GenerationJob {
  /// - Parameter textTokens: of each prompt.
  func workload(textTokens: Int) -> Workload {
    Workload(
      plans: plans, batch: condition.batch, textTokens: textTokens,
      latentHeight: latentHeight, latentWidth: latentWidth, resizedPixels: sides.resizedPixels)
  }
}

extension LoadedModel {
  var sizes: ModelSizes {
    ModelSizes(
      backbone: backbone.config, textEncoder: conditioning.text?.encoder.config,
      autoencoder: autoencoder.config)
  }
}

extension Int {
  /// The nearest `Int` of a number that is not NaN.
  package init(clamping value: Double) {
    self = Int(exactly: value.rounded()) ?? (value < 0 ? .min : .max)
  }
}
