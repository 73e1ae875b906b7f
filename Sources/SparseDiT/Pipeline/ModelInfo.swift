import Tensors

extension Pipeline {
  /// T, the number of training timesteps.
  package var trainTimesteps: Int { model.trainTimesteps }

  /// What the model is, and what requests may ask of it.
  public var info: ModelInfo {
    let config = model.backbone.config
    let text = model.conditioning.text
    let classes = model.conditioning.classes
    let side = config.sampleSize * model.autoencoder.scale
    return ModelInfo(
      family: config.sparsity == nil ? model.family.name : "SparseDiT",
      textEncoderParameters: text?.encoder.weights.parameters ?? 0,
      backboneParameters: model.backbone.weights.parameters,
      decoderParameters: model.autoencoder.weights.parameters,
      defaultWidth: side, defaultHeight: side,
      sizeMultiple: config.patch * model.autoencoder.scale,
      maxSteps: model.sampler.maxSteps, maxPromptTokens: text?.maxTokens ?? 0,
      textChannels: config.textChannels, classCount: classes?.count ?? 0,
      classNames: classes?.names ?? [:], latentChannels: config.inChannels,
      outputChannels: config.outChannels, guidedChannels: config.guidedChannels,
      depth: config.depth, patch: config.patch, latentScale: model.autoencoder.scale,
      precision: precision, threads: threads, rates: config.sparsity?.rates)
  }
}
