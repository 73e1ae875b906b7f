import Tensors

/// Pictures and how they came to be.
public struct GenerationResult: Sendable {
  public var images: [RGBImage]
  /// The seed that draws image i again with count 1.
  public var seeds: [UInt64]
  public var report: GenerationReport

  /// Prompt and settings of image `index` in the form that AUTOMATIC1111's web UI writes, for the
  /// picture's metadata. Prompts that would not fit there are cut, with a mark.
  public func parameters(of index: Int) -> String { report.parameters(seed: seeds[index]) }
}
