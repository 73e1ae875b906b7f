/// Watches and stops one call of ``Pipeline/generate(_:asking:control:)``. Give each call its own.
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
  package let cancellation: Cancellation

  public convenience init(
    onStep: (@Sendable (StepProgress) -> Bool)? = nil,
    onPreview: (@Sendable (RGBImage, StepProgress) -> Void)? = nil,
    onImage: (@Sendable (GenerationResult, Int) -> Bool)? = nil
  ) {
    self.init(
      onStep: onStep, onPreview: onPreview, onImage: onImage, cancellation: Cancellation())
  }

  /// - Parameter cancellation: what already stops the call that this is part of.
  package init(
    onStep: (@Sendable (StepProgress) -> Bool)?,
    onPreview: (@Sendable (RGBImage, StepProgress) -> Void)?,
    onImage: (@Sendable (GenerationResult, Int) -> Bool)? = nil, cancellation: Cancellation
  ) {
    self.onStep = onStep
    self.onPreview = onPreview
    self.onImage = onImage
    self.cancellation = cancellation
  }

  /// Makes the call throw ``SparseDiTError/cancelled`` within one block or layer. Any thread, any
  /// time; for good.
  public func cancel() { cancellation.cancel() }
  public var isCancelled: Bool { cancellation.isCancelled }
}
