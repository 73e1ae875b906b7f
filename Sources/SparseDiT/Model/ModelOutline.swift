import Tensors

/// What a model's configuration files say, read and checked once: all that a plan and its costs need.
/// A ``LoadedModel`` is this with weights.
package struct ModelOutline: Sendable {
  package let name: String
  /// Nil for a model that is only known by name.
  package let family: ModelFamily?
  package let backbone: BackboneConfig
  /// What reads the prompts, or the classes that there are.
  package let condition: Condition<T5Config, ImageClasses>
  package let autoencoder: AutoencoderConfig
  /// Tokens that prompts are cut or padded to; 0 where no text is read.
  package let promptTokens: Int
  /// What is done to requests unless they say otherwise.
  package let defaults: DiffusersDefaults
  /// T, the number of training timesteps.
  package let trainTimesteps: Int
  /// The words that the model was trained on, where its folder lists them.
  let words: KnownWords?
  /// How often a request for this model was planned.
  package let plans = UseCount()
  /// Nil for a model that is only known by name: its steps are spread evenly.
  private let scheduler: ConfigObject?
  /// Nil for a model that is only known by name.
  private let folder: ModelFolder?

  /// Reads the configuration of a diffusers pipeline folder.
  ///
  /// - Throws: `notFound`, `invalidData` or `unsupported` naming file and key.
  package init(_ folder: ModelFolder) throws(SparseDiTError) {
    name = folder.name
    self.folder = folder
    words = try KnownWords(folder)
    let index = try folder.config("model_index.json")
    let family = try ModelFamily(index)
    self.family = family
    let scheduler = try SamplerKind.config(folder, index)
    self.scheduler = scheduler
    trainTimesteps = try TrainingSchedule.timesteps(scheduler)
    let file = "transformer/config.json"
    backbone = try BackboneConfig(folder.config(file))
    guard backbone.condition.kind == family.kind else {
      throw .invalidData(
        "\(index.name): a \(family.rawValue) whose transformer draws from"
          + " \(backbone.condition.kind.rawValue)")
    }
    try backbone.sparsity?.table?.check(
      trainTimesteps: trainTimesteps, file: folder.displayName(file))
    switch backbone.condition {
    case .text: condition = .text(try T5Config(folder.config("text_encoder/config.json")))
    case .classes(let classes):
      condition = .classes(try ImageClasses(index, count: classes.count))
    }
    promptTokens = family.promptTokens
    defaults = DiffusersDefaults(folder, family, sampleSize: backbone.sampleSize)
    autoencoder = try AutoencoderConfig(folder.config("vae/config.json"))
    try checkFit()
  }

  /// A model of a paper, see ``PublishedModel``.
  package init(_ model: PublishedModel) throws(SparseDiTError) {
    name = model.name
    backbone = try BackboneConfig(model.backbone)
    if let textEncoder = model.textEncoder {
      condition = .text(try T5Config(textEncoder))
    } else {
      condition = .classes(
        try ImageClasses(model.backbone, count: backbone.classes?.count ?? 0))
    }
    autoencoder = try AutoencoderConfig(model.autoencoder)
    promptTokens = model.promptTokens
    defaults = .none
    trainTimesteps = TrainingSchedule.usualTimesteps
    (family, words, scheduler, folder) = (nil, nil, nil, nil)
  }

  /// What each part hands to the next must be what that one takes.
  private func checkFit() throws(SparseDiTError) {
    if let channels = condition.text?.width, channels != backbone.textChannels {
      throw .invalidData(
        "\(name): the text encoder's d_model \(channels) is not what the transformer takes,"
          + " \(backbone.textChannels)")
    }
    let (inputs, outputs) = (backbone.inChannels, backbone.outChannels)
    if autoencoder.latentChannels != inputs {
      throw .invalidData(
        "\(name): the autoencoder's latent_channels \(autoencoder.latentChannels) are not the"
          + " transformer's in_channels, \(inputs)")
    }
    _ = try sampler(nil)
    if outputs != inputs && outputs != 2 * inputs {
      throw .unsupported(
        "\(name): out_channels \(outputs) for in_channels \(inputs) (only as many, or twice as many"
          + " with a variance)")
    }
  }
}

extension ModelOutline {
  /// What the family is called: "PixArt-alpha", "SparseDiT".
  var familyName: String { backbone.sparsity == nil ? family?.name ?? name : "SparseDiT" }
  /// Pixels of a latent a side.
  package var latentScale: Int { autoencoder.scale }
  /// Width and height in pixels of a request that names none.
  var defaultSide: Int { backbone.sampleSize * latentScale }
  /// Widths and heights are multiples of this.
  var sizeMultiple: Int { backbone.patch * latentScale }

  /// As ``ModelInfo/defaultSteps``.
  package var defaultSteps: Int {
    get throws(SparseDiTError) {
      min(GenerationRequest.defaultSteps, try sampler(nil)?.maxSteps ?? .max)
    }
  }

  /// The folder's sampler, or the one picked in its place; nil for a model that is only known by name.
  package func sampler(
    _ kind: SamplerKind?, eta: Double = 0
  ) throws(SparseDiTError) -> (any Sampler)? {
    guard let scheduler else {
      try kind.check(eta: eta)
      return nil
    }
    return try makeSampler(
      scheduler, kind: kind, eta: eta, predictsVariance: backbone.predictsVariance)
  }

  /// Nil where no text is read, or for a model that is only known by name.
  func readTokenizer() throws(SparseDiTError) -> Tokenizer? {
    guard let folder, let config = condition.text else { return nil }
    return try Tokenizer(folder, vocabulary: config.vocabulary)
  }

  /// As ``Pipeline/classLabel(named:)``.
  package func classLabel(named name: String) throws(SparseDiTError) -> Int {
    guard let classes = condition.classes else {
      throw condition.kind.refusal(of: "class \(JSONValue.quoted(name))", .classes)
    }
    return try classes.label(named: name)
  }
}
