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
