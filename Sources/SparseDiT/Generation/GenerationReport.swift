import Tensors

/// What a call of ``Pipeline/generate(_:asking:control:)`` did.
public struct GenerationReport: Sendable, Hashable {
  /// The request with every default filled in.
  public var request: GenerationRequest
  public var width: Int
  public var height: Int
  /// The size at which the picture was drawn before it was brought to that one, mostly the same; see
  /// ``GenerationRequest/keepsExactSize``.
  public var drawnWidth: Int
  public var drawnHeight: Int
  /// Whether the prompts were cleaned, see ``GenerationRequest/cleansCaptions``.
  public var cleansCaptions: Bool
  public var model: String
  /// Names of the class that was drawn, with commas between; nil without a class, or where the
  /// model's folder has no name for it.
  public var className: String?
  /// Name of the sampler in the words of A1111: "DPM++ 2M".
  public var sampler: String
  public var precision: Precision
  public var seconds: StageSeconds
  /// Training timestep of each step.
  public var timesteps: [Double]
  /// Tokens of the sparse blocks in each step (equal to `denseTokens` where nothing is sparse).
  public var tokens: [Int]
  public var denseTokens: Int
  /// Most scratch memory held at a time, in bytes.
  public var peakBytes: Int
}

extension GenerationReport {
  /// Prompt and settings of the picture with this seed, for its metadata. A class stands by its name
  /// in the prompt's place, and by its label among the settings. Prompts are cut, with a mark, so
  /// that all fits in a JPEG's EXIF.
  public func parameters(seed: UInt64) -> String {
    var settings = [
      GenerationParameters.Setting("Steps", "\(request.steps)"),
      .init("Sampler", sampler),
      .init("CFG scale", "\(request.guidanceScale)"),
      .init("Seed", "\(seed)"),
      .init("Size", "\(width)x\(height)"),
      .init("Model", model.split(separator: "/").last.map(String.init) ?? model),
    ]
    if let label = request.classLabel { settings.append(.init("Class", "\(label)")) }
    if request.eta > 0 { settings.append(.init("Eta DDIM", "\(request.eta)")) }
    switch request.sparsity {
    case .model: break
    case .dense: settings.append(.init("Token pruning", "none"))
    case .rates(let min, let max):
      settings.append(.init("Token pruning rates", "\(min)-\(max)"))
    case .table(let table): settings.append(.init("Token pruning table", table.description))
    }
    if let schedule = request.tokenSchedule {
      settings.append(.init("Token schedule", schedule.rawValue))
    }
    settings.append(.init("Precision", precision.rawValue))
    // A1111's word for noise that does not depend on a graphics card.
    settings.append(.init("RNG", "CPU"))
    if (drawnWidth, drawnHeight) != (width, height) {
      settings.append(.init("Drawn size", "\(drawnWidth)x\(drawnHeight)"))
    }
    if cleansCaptions { settings.append(.init("Clean caption", "true")) }
    let subject = request.classLabel.map { className ?? "class \($0)" }
    return GenerationParameters(
      prompt: subject ?? request.prompt, negativePrompt: request.negativePrompt, settings: settings
    ).text(fitting: EXIF.maxUnits)
  }
}
