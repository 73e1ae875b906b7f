import Tensors

extension Pipeline {
  /// What the model is, and what requests may ask of it.
  public var info: ModelInfo {
    let config = model.backbone.config
    let side = config.sampleSize * model.autoencoder.scale
    return ModelInfo(
      family: config.sparsity == nil ? model.family.name : "SparseDiT",
      textEncoderParameters: model.textEncoder.weights.parameters,
      backboneParameters: model.backbone.weights.parameters,
      decoderParameters: model.autoencoder.weights.parameters,
      defaultWidth: side, defaultHeight: side,
      sizeMultiple: config.patch * model.autoencoder.scale,
      maxSteps: model.sampler.maxSteps, maxPromptTokens: model.family.maxPromptTokens,
      textChannels: model.textEncoder.channels, latentChannels: config.inChannels,
      outputChannels: config.outChannels, patch: config.patch,
      latentScale: model.autoencoder.scale, precision: precision, threads: threads,
      rates: config.sparsity?.rates)
  }
}
