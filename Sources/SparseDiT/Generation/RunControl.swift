import Synchronization

/// Watches and stops one call of ``Pipeline/generate(_:control:)``. Give each call its own.
public final class RunControl: Sendable {
  /// Called after each step on the thread that called `generate`; returning false cancels.
  public let onStep: (@Sendable (StepProgress) -> Bool)?
  /// Called after `onStep`, same thread, with a small picture of what is being drawn: one pixel
  /// per latent, from the solver's current estimate of the clean latents.
  public let onPreview: (@Sendable (RGBImage, StepProgress) -> Void)?
  /// Called when a picture is finished, same thread, with its index, 0 … count − 1, and that picture
  /// alone; returning false cancels. The report's `seconds` are what it took beyond those before it:
  /// the first bears the text.
  public let onImage: (@Sendable (GenerationResult, Int) -> Bool)?
  private let cancelled = Atomic(false)

  public init(
    onStep: (@Sendable (StepProgress) -> Bool)? = nil,
    onPreview: (@Sendable (RGBImage, StepProgress) -> Void)? = nil,
    onImage: (@Sendable (GenerationResult, Int) -> Bool)? = nil
  ) {
    self.onStep = onStep
    self.onPreview = onPreview
    self.onImage = onImage
  }

  /// Makes the call throw ``SparseDiTError/cancelled`` within one block or layer. Any thread, any
  /// time; for good.
  public func cancel() { cancelled.store(true, ordering: .relaxed) }
  public var isCancelled: Bool { cancelled.load(ordering: .relaxed) }
}

/// Where a request stands after a denoising step.
public struct StepProgress: Sendable, Hashable {
  /// Image 0 … images − 1.
  public var image: Int
  public var images: Int
  /// Step 1 … steps.
  public var step: Int
  public var steps: Int
  /// Tokens of the backbone's sparse blocks in this step, and of its other blocks.
  public var tokens: Int
  public var denseTokens: Int
  /// Seconds since the call began, and an estimate of those left.
  public var seconds: Double
  public var secondsLeft: Double
}
