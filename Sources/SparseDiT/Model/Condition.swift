import Tensors

/// The part of a model that turns what a caller asks for into what the backbone reads.
package enum ModelConditioning: Sendable {
  case text(TextConditioning)
  case classes(ImageClasses)

  /// - Parameters:
  ///   - index: `model_index.json`.
  ///   - transformer: the backbone's configuration, which must suit the family.
  init(
    _ folder: ModelFolder, _ index: ConfigObject, _ family: ModelFamily,
    _ transformer: BackboneConfig, precision: Precision, budget: WeightBudget
  ) throws(SparseDiTError) {
    switch (family, transformer.conditioning) {
    case (.pixArtAlpha, .text), (.pixArtSigma, .text):
      self = .text(
        try TextConditioning(
          folder, maxTokens: family.promptTokens, precision: precision, budget: budget))
    case (.dit, .label(let label)):
      self = .classes(try ImageClasses(index, count: label.classes))
    case (.pixArtAlpha, .label), (.pixArtSigma, .label), (.dit, .text):
      throw .invalidData(
        "\(index.name): a \(family.rawValue) whose transformer draws from"
          + " \(family == .dit ? "text" : "class labels")")
    }
  }

  /// Nil in a model that draws classes.
  package var text: TextConditioning? {
    if case .text(let text) = self { text } else { nil }
  }
  /// Nil in a model that draws from text.
  package var classes: ImageClasses? {
    if case .classes(let classes) = self { classes } else { nil }
  }
}

/// Tokenizer and text encoder of a model that draws from prompts.
package struct TextConditioning: Sendable {
  package let tokenizer: Tokenizer
  package let encoder: T5Encoder
  /// Tokens that captions are padded to, as in the training.
  package let maxTokens: Int

  init(
    _ folder: ModelFolder, maxTokens: Int, precision: Precision, budget: WeightBudget
  ) throws(SparseDiTError) {
    let config = try T5Config(folder.config("text_encoder/config.json"))
    tokenizer = try Tokenizer(folder, vocabulary: config.vocabulary)
    encoder = try T5Encoder(folder: folder, precision: precision, budget: budget)
    self.maxTokens = maxTokens
  }

  /// Ids and mask of a cleaned prompt, cut and padded as the model was trained to see it.
  func tokenize(_ caption: String) throws(SparseDiTError) -> TokenizedPrompt {
    try tokenizer.encode(caption, maxLength: maxTokens)
  }
}

/// What a request draws, checked against what the model can draw: one condition per picture of a
/// batch. With guidance that is two, first what it steers away from.
package enum JobCondition: Sendable {
  /// Cleaned.
  case prompts([String], TextConditioning)
  /// The number of classes itself is the label of none of them.
  case labels([Int])

  /// - Throws: `invalidArgument` for a class where the model takes a prompt, for a prompt where it
  ///   takes a class, and for a class that it does not have.
  init(
    _ request: GenerationRequest, _ conditioning: ModelConditioning, isGuided: Bool,
    defaults: DiffusersDefaults
  ) throws(SparseDiTError) {
    switch conditioning {
    case .text(let text):
      if let label = request.classLabel { try ImageClasses.check(label, count: nil) }
      let prompts = (isGuided ? [request.negativePrompt] : []) + [request.prompt]
      self = .prompts(prompts.map { defaults.caption($0, of: request) }, text)
    case .classes(let classes):
      for (name, text) in [("prompt", request.prompt), ("negative prompt", request.negativePrompt)]
      where !text.isEmpty {
        throw .invalidArgument("\(name): this model draws from a class, not from a prompt")
      }
      let label = try classes.checked(request.classLabel)
      self = .labels((isGuided ? [classes.count] : []) + [label])
    }
  }

  /// Pictures of the backbone's batch.
  package var batch: Int {
    switch self {
    case .prompts(let prompts, _): prompts.count
    case .labels(let labels): labels.count
    }
  }

  /// Tokens of the longest prompt, the only ones that are encoded and read: the rest is padding.
  package var textTokens: Int {
    get throws(SparseDiTError) {
      guard case .prompts(let prompts, let text) = self else { return 0 }
      return try prompts.map { prompt throws(SparseDiTError) in
        try text.tokenize(prompt).mask.count { $0 != 0 }
      }.max() ?? 0
    }
  }
}
