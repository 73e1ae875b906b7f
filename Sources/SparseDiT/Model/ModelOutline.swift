import Tensors

/// What a model's configuration files say, read without its weights: enough to work out costs.
package struct ModelOutline: Sendable {
  package let name: String
  package let sizes: ModelSizes
  /// Tokens that prompts are padded to; 0 where no text is read.
  package let promptTokens: Int
  let defaults: DiffusersDefaults
  /// T, the number of training timesteps.
  package let trainTimesteps: Int
  /// Nil in a model that draws from text.
  private let classes: ImageClasses?
  /// Nil for a model that is only known by name: its steps are spread evenly.
  private let scheduler: ConfigObject?
  /// Where the tokenizer lies.
  private let folder: ModelFolder?

  /// Reads the configuration of a diffusers pipeline folder.
  ///
  /// - Throws: `notFound`, `invalidData` or `unsupported` naming file and key.
  package init(_ folder: ModelFolder) throws(SparseDiTError) {
    let index = try folder.config("model_index.json")
    let family = try ModelFamily(index)
    let backbone = try BackboneConfig(folder.config("transformer/config.json"))
    let scheduler = try SamplerKind.config(folder, index)
    name = folder.name
    sizes = ModelSizes(
      backbone: backbone,
      textEncoder: backbone.text == nil
        ? nil : try T5Config(folder.config("text_encoder/config.json")),
      autoencoder: try AutoencoderConfig(folder.config("vae/config.json")))
    promptTokens = backbone.text == nil ? 0 : family.promptTokens
    defaults = DiffusersDefaults(folder, family, sampleSize: backbone.sampleSize)
    classes = try backbone.label.map { label throws(SparseDiTError) in
      try ImageClasses(index, count: label.classes)
    }
    trainTimesteps = try LoadedModel.trainTimesteps(scheduler)
    try backbone.sparsity?.table?.check(
      trainTimesteps: trainTimesteps, file: folder.displayName("transformer/config.json"))
    self.scheduler = scheduler
    self.folder = folder
  }

  /// A model of a paper, see ``PublishedModel``.
  package init(_ model: PublishedModel) throws(SparseDiTError) {
    name = model.name
    sizes = ModelSizes(
      backbone: try BackboneConfig(model.backbone),
      textEncoder: try model.textEncoder.map { config throws(SparseDiTError) in
        try T5Config(config)
      },
      autoencoder: try AutoencoderConfig(model.autoencoder))
    promptTokens = model.promptTokens
    defaults = .none
    classes = try sizes.backbone.label.map { label throws(SparseDiTError) in
      try ImageClasses(model.backbone, count: label.classes)
    }
    trainTimesteps = 1000
    scheduler = nil
    folder = nil
  }

  /// Tokens of the longest of a request's prompts, without padding; nil where it has none.
  ///
  /// - Throws: `invalidArgument` for a model that is only known by name, or draws no text.
  package func textTokens(of request: GenerationRequest) throws(SparseDiTError) -> Int? {
    let (prompt, negative) = (request.prompt, request.negativePrompt)
    guard !prompt.isEmpty || !negative.isEmpty else { return nil }
    let isGuided = request.guidanceScale > 1
    return max(
      try tokens(of: prompt, "prompt", request),
      isGuided ? try tokens(of: negative, "negative prompt", request) : 0)
  }

  /// - Parameter name: what messages call the text.
  private func tokens(
    of text: String, _ name: String, _ request: GenerationRequest
  ) throws(SparseDiTError) -> Int {
    guard let folder, promptTokens > 0, let textEncoder = sizes.textEncoder else {
      throw .invalidArgument("\(self.name) has no tokenizer to count a prompt's tokens with")
    }
    try Caption.check(text, name: name)
    let tokenizer = try Tokenizer(folder, vocabulary: textEncoder.vocabulary)
    return try tokenizer.encode(
      defaults.caption(text, of: request), maxLength: promptTokens
    ).mask.count { $0 != 0 }
  }

  /// A class need not be given, since costs do not depend on it; but a wrong one is refused.
  func checkClass(of request: GenerationRequest) throws(SparseDiTError) {
    guard let label = request.classLabel else { return }
    try ImageClasses.check(label, count: classes?.count)
  }

  /// As ``Pipeline/classLabel(named:)``.
  package func classLabel(named name: String) throws(SparseDiTError) -> Int {
    try ImageClasses.label(named: name, in: classes)
  }

  /// As ``ModelInfo/defaultSteps``.
  package var defaultSteps: Int {
    get throws(SparseDiTError) {
      guard let scheduler else { return GenerationRequest.defaultSteps }
      return min(GenerationRequest.defaultSteps, try makeSampler(scheduler).maxSteps)
    }
  }

  /// Timesteps of a request's steps, from noise to data.
  func timesteps(of request: GenerationRequest) throws(SparseDiTError) -> [Double] {
    guard let scheduler else {
      try request.sampler.check(eta: request.eta)
      guard (1...trainTimesteps).contains(request.steps) else {
        throw .invalidArgument("\(request.steps) steps are not in 1 to \(trainTimesteps)")
      }
      // The middle of each of equal parts, so that quarters of T weigh the same.
      let part = Double(trainTimesteps) / Double(request.steps)
      return (0..<request.steps).reversed().map { (Double($0) + 0.5) * part }
    }
    let sampler = try makeSampler(
      scheduler, kind: request.sampler, eta: request.eta,
      predictsVariance: sizes.backbone.predictsVariance)
    return try sampler.plan(steps: request.steps).timesteps
  }
}
