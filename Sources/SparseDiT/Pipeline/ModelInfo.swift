import Tensors

/// What a loaded model is.
public struct ModelInfo: Sendable, Hashable {
  /// "PixArt-alpha", "PixArt-Sigma", "DiT" or "SparseDiT".
  public var family: String
  /// 0 in a model that draws classes.
  public var textEncoderParameters: Int
  public var backboneParameters: Int
  public var decoderParameters: Int
  /// Size in pixels of a request that names none.
  public var defaultWidth: Int
  public var defaultHeight: Int
  /// Widths and heights are multiples of this: patch × latent scale.
  public var sizeMultiple: Int
  /// Most steps that the model's solver takes.
  public var maxSteps: Int
  /// Tokens of a prompt, end of sequence included; longer ones are cut. 0 in a model that draws
  /// classes.
  public var maxPromptTokens: Int
  /// Channels of the text embedding; 0 in a model that draws classes.
  public var textChannels: Int
  /// Classes that a request can name by ``GenerationRequest/classLabel``, 0 ..< `classCount`; 0 in a
  /// model that draws from prompts.
  public var classCount: Int
  /// What the classes are called, by label; a class may have several names. Empty where the model's
  /// folder lists none.
  public var classNames: [Int: [String]]
  public var latentChannels: Int
  /// Channels of the backbone's prediction; twice `latentChannels` when it also predicts a variance.
  public var outputChannels: Int
  /// Channels of the prediction that guidance acts on, from the first.
  public var guidedChannels: Int
  /// Blocks of the backbone.
  public var depth: Int
  /// Tokens are patches of this many latents a side.
  public var patch: Int
  /// Pixels per latent a side.
  public var latentScale: Int
  public var precision: Precision
  public var threads: Int
  /// The pruning rates of a model that was trained for sparse tokens, else nil.
  public var rates: TokenRates?

  /// What the model draws from.
  package var kind: ConditionKind { classCount == 0 ? .text : .classes }

  /// Steps where a request gives no number: ``GenerationRequest/defaultSteps``, or as many as the
  /// model's sampler takes.
  public var defaultSteps: Int { min(GenerationRequest.defaultSteps, maxSteps) }
}

extension ModelInfo {
  init(_ model: LoadedModel, _ compute: Compute) throws(SparseDiTError) {
    let (outline, config) = (model.outline, model.backbone.config)
    let text = model.condition.text
    let classes = model.condition.classes
    self.init(
      family: outline.familyName, textEncoderParameters: text?.encoder.weights.parameters ?? 0,
      backboneParameters: model.backbone.weights.parameters,
      decoderParameters: model.autoencoder.weights.parameters,
      defaultWidth: outline.defaultSide, defaultHeight: outline.defaultSide,
      sizeMultiple: outline.sizeMultiple, maxSteps: try model.sampler().maxSteps,
      maxPromptTokens: outline.promptTokens, textChannels: config.textChannels,
      classCount: classes?.count ?? 0, classNames: classes?.names ?? [:],
      latentChannels: config.inChannels, outputChannels: config.outChannels,
      guidedChannels: config.guidedChannels, depth: config.depth, patch: config.patch,
      latentScale: outline.latentScale, precision: compute.precision, threads: compute.threads,
      rates: config.sparsity?.rates)
  }
}
