import Tensors

/// How a ``Pipeline`` is to be set up.
public struct PipelineOptions: Sendable {
  /// What weights and matrix inputs are stored as; nil is bf16 where the CPU multiplies it
  /// natively, else f32.
  public var precision: Precision?
  /// Threads to compute with, 1 … 1024; nil is one per CPU that the process may use.
  public var threads: Int?
  /// Most bytes that the pipeline may hold beside mapped model files; nil is what the machine has
  /// free when a request is made.
  public var memoryLimit: Int?
  /// Receives one line of advice at a time (such as: a dense checkpoint runs sparse without
  /// fine-tuning). May be called from any thread.
  public var log: (@Sendable (String) -> Void)?

  public init(
    precision: Precision? = nil, threads: Int? = nil, memoryLimit: Int? = nil,
    log: (@Sendable (String) -> Void)? = nil
  ) {
    self.precision = precision
    self.threads = threads
    self.memoryLimit = memoryLimit
    self.log = log
  }

  /// - Throws: `invalidArgument` for a value out of range, before anything is loaded.
  func check() throws(SparseDiTError) {
    if let threads, !(1...1024).contains(threads) {
      throw .invalidArgument("threads must be 1 to 1024, not \(threads)")
    }
    if let memoryLimit, memoryLimit < 0 {
      throw .invalidArgument("the memory limit must not be negative, but is \(memoryLimit)")
    }
  }
}

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

  /// Steps that suit when nobody says how many: ``GenerationRequest/defaultSteps``, or as many as the
  /// model's sampler takes.
  public var defaultSteps: Int { min(GenerationRequest.defaultSteps, maxSteps) }
}
