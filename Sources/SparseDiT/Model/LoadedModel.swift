import Tensors

/// The parts of a loaded model: immutable, shared freely.
package struct LoadedModel: Sendable {
  package let name: String
  package let family: ModelFamily
  package let defaults: DiffusersDefaults
  package let conditioning: ModelConditioning
  package let backbone: Backbone
  package let autoencoder: AutoencoderKL
  /// The sampler that the folder names.
  package let sampler: any Sampler
  private let schedulerConfig: ConfigObject
  /// T, the number of training timesteps.
  package let trainTimesteps: Int
  /// The words that the model was trained on, where its folder lists them.
  let words: KnownWords?

  /// Bytes of the weights that had to be converted; the others lie in mapped files.
  let convertedBytes: Int

  /// Reads a diffusers pipeline folder.
  ///
  /// - Parameter memoryLimit: most bytes that converted weights may take; nil for no limit.
  init(
    _ folder: ModelFolder, precision: Precision, memoryLimit: Int?
  ) throws(SparseDiTError) {
    name = folder.name
    words = try KnownWords(folder)
    let index = try folder.config("model_index.json")
    family = try ModelFamily(index)
    schedulerConfig = try SamplerKind.config(folder, index)
    sampler = try makeSampler(schedulerConfig)
    trainTimesteps = try Self.trainTimesteps(schedulerConfig)
    let transformer = try BackboneConfig(folder.config("transformer/config.json"))
    defaults = DiffusersDefaults(folder, family, sampleSize: transformer.sampleSize)
    try transformer.sparsity?.table?.check(
      trainTimesteps: trainTimesteps, file: folder.displayName("transformer/config.json"))
    let budget = WeightBudget(limit: memoryLimit)
    conditioning = try ModelConditioning(
      folder, index, family, transformer, precision: precision, budget: budget)
    backbone = try Backbone(
      config: transformer, folder: folder, precision: precision, budget: budget)
    autoencoder = try AutoencoderKL(folder: folder, precision: precision, budget: budget)
    convertedBytes = budget.taken
    try checkFit()
  }

  /// T, from `scheduler_config.json`.
  static func trainTimesteps(_ config: ConfigObject) throws(SparseDiTError) -> Int {
    try config.int("num_train_timesteps", in: 1...1_000_000, default: 1000)
  }

  /// The folder's sampler, or the one picked in its place.
  package func sampler(
    _ kind: SamplerKind?, eta: Double = 0
  ) throws(SparseDiTError) -> any Sampler {
    try makeSampler(
      schedulerConfig, kind: kind, eta: eta, predictsVariance: backbone.config.predictsVariance)
  }

  /// What each part hands to the next must be what that one takes.
  private func checkFit() throws(SparseDiTError) {
    let config = backbone.config
    if let text = conditioning.text, text.encoder.channels != config.textChannels {
      throw .invalidData(
        "\(name): the text encoder's d_model \(text.encoder.channels) is not what the transformer"
          + " takes, \(config.textChannels)")
    }
    if autoencoder.latentChannels != config.inChannels {
      throw .invalidData(
        "\(name): the autoencoder's latent_channels \(autoencoder.latentChannels) are not the"
          + " transformer's in_channels, \(config.inChannels)")
    }
    _ = try sampler(nil)
    if config.outChannels != config.inChannels && config.outChannels != 2 * config.inChannels {
      throw .unsupported(
        "\(name): out_channels \(config.outChannels) for in_channels \(config.inChannels)"
          + " (only as many, or twice as many with a variance)")
    }
  }
}

/// Which of diffusers' pipelines a folder was saved from.
package enum ModelFamily: String, Sendable, CaseIterable {
  case pixArtAlpha = "PixArtAlphaPipeline"
  case pixArtSigma = "PixArtSigmaPipeline"
  case dit = "DiTPipeline"

  /// From `model_index.json`.
  init(_ index: ConfigObject) throws(SparseDiTError) {
    let saved = try index.string("_class_name", oneOf: Self.allCases.map(\.rawValue))
    self = Self.allCases.first { $0.rawValue == saved } ?? .pixArtAlpha
    for (part, name) in parts {
      let found = try index.strings(part, count: 2...2)[1]
      guard found == name || found == name + "Fast" else {
        throw .unsupported("\(index.name): \(part): \(found) is not supported (only \(name))")
      }
    }
  }

  /// The parts that must be there, and their only class that is supported.
  private var parts: [(part: String, name: String)] {
    let text = [("text_encoder", "T5EncoderModel"), ("tokenizer", "T5Tokenizer")]
    return (self == .dit ? [] : text) + [("vae", "AutoencoderKL")]
  }

  /// Tokens that captions are padded to, as in the training; 0 where no text is read.
  var promptTokens: Int {
    switch self {
    case .pixArtAlpha: 120
    case .pixArtSigma: 300
    case .dit: 0
    }
  }

  var name: String {
    switch self {
    case .pixArtAlpha: "PixArt-alpha"
    case .pixArtSigma: "PixArt-Sigma"
    case .dit: "DiT"
    }
  }
}

extension NamedWeights {
  /// Number of elements.
  var parameters: Int { items.reduce(0) { $0 + $1.tensor.shape.count } }
}
