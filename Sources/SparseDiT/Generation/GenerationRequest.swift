import Tensors

/// The picture that a caller wants. Defaults are those of diffusers' PixArt pipelines.
public struct GenerationRequest: Sendable, Hashable {
  /// At most 65,536 bytes of UTF-8; empty is an unconditional picture. Empty for a model that draws
  /// classes.
  public var prompt: String
  /// What guidance steers away from; unused without guidance. Empty for a model that draws classes,
  /// where guidance steers away from the picture of no class.
  public var negativePrompt: String
  /// The class to draw, 0 ..< ``ModelInfo/classCount``, for a model that draws classes; nil for one
  /// that draws from prompts.
  public var classLabel: Int?
  /// Pixels; nil is the model's default. With ``keepsExactSize``, and with models that draw at the
  /// size they are asked for, a positive multiple of ``ModelInfo/sizeMultiple``; else any positive
  /// number.
  public var width: Int?
  public var height: Int?
  /// Denoising steps, 1 … ``ModelInfo/maxSteps``.
  public var steps: Int
  /// Classifier-free guidance; on above 1, where each step costs two forwards, up to
  /// ``maxGuidanceScale``.
  public var guidanceScale: Double
  /// Image i of `count` has seed `seed` + i (wrapping).
  public var seed: UInt64
  /// Number of pictures, drawn one after another, 1 … ``maxCount``.
  public var count: Int
  public var sparsity: SparsityChoice
  /// How the pruning rate follows the timestep; nil is the model's own schedule, or else linear. Of
  /// use only where there are rates: not with ``SparsityChoice/dense`` or
  /// ``SparsityChoice/table(_:)``.
  public var tokenSchedule: TokenScheduleKind?
  /// nil is the one that the model's folder names. Another one takes over what that one's
  /// configuration says of the training and the spacing of timesteps.
  public var sampler: SamplerKind?
  /// η of ``DDIM``, 0 … 1: how much of the noise is drawn anew in each step. The other samplers
  /// take 0.
  public var eta: Double
  /// Whether the prompts are cleaned as diffusers' PixArt pipelines clean them by default
  /// (`clean_caption`; docs/captions.md), with a user's PixArt model; else they are lower-cased, and
  /// white space is stripped from their ends. The model inside always does the latter.
  public var cleansCaptions: Bool
  /// Whether the picture is drawn at the very size that was asked for. Else a user's PixArt model whose
  /// `sample_size` is 32, 64, 128 or 256 draws it at that one of the sizes of its training that has the
  /// nearest ratio, and the picture is resized and its middle cut out, as diffusers does by default
  /// (`use_resolution_binning`).
  public var keepsExactSize: Bool
  /// Whether the result holds the pictures; false where ``RunControl/onImage`` takes each, so that
  /// many need no more memory than one.
  public var keepsImages: Bool

  /// Steps of a request that names none, where the model's sampler takes so many.
  public static let defaultSteps = 20
  /// Pictures that one request may ask for.
  public static let maxCount = 10_000
  /// Far above what leaves more of a picture than its extremes; numbers stay far from infinity.
  public static let maxGuidanceScale = 1000.0

  public init(
    prompt: String = "", negativePrompt: String = "", classLabel: Int? = nil, width: Int? = nil,
    height: Int? = nil, steps: Int = Self.defaultSteps, guidanceScale: Double = 4.5,
    seed: UInt64 = 0,
    count: Int = 1, sparsity: SparsityChoice = .model,
    tokenSchedule: TokenScheduleKind? = nil, sampler: SamplerKind? = nil, eta: Double = 0,
    cleansCaptions: Bool = true, keepsExactSize: Bool = false, keepsImages: Bool = true
  ) {
    self.prompt = prompt
    self.negativePrompt = negativePrompt
    self.classLabel = classLabel
    self.width = width
    self.height = height
    self.steps = steps
    self.guidanceScale = guidanceScale
    self.seed = seed
    self.count = count
    self.sparsity = sparsity
    self.tokenSchedule = tokenSchedule
    self.sampler = sampler
    self.eta = eta
    self.cleansCaptions = cleansCaptions
    self.keepsExactSize = keepsExactSize
    self.keepsImages = keepsImages
  }
}

extension GenerationRequest {
  /// Checks what does not depend on a model.
  ///
  /// - Throws: `invalidArgument` naming the first value that is out of range.
  func check() throws(SparseDiTError) {
    try Caption.check(prompt, name: "prompt")
    try Caption.check(negativePrompt, name: "negative prompt")
    guard guidanceScale.isFinite else {
      throw .invalidArgument("guidance scale \(guidanceScale) is not a finite number")
    }
    guard guidanceScale <= Self.maxGuidanceScale else {
      throw .invalidArgument(
        "guidance scale \(guidanceScale) is above \(Self.maxGuidanceScale)")
    }
    guard (1...Self.maxCount).contains(count) else {
      throw .invalidArgument("count \(count) is not in 1 to \(Self.maxCount)")
    }
  }
}
