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

  /// Writes image `index` as a JPEG with prompt and settings in it, whole or not at all: see
  /// ``RGBImage/jpeg(quality:parameters:)`` and ``AtomicFile``.
  ///
  /// - Throws: `invalidArgument` for an index or a quality that there is not; `cannotWrite`.
  public func save(
    _ index: Int = 0, to path: String, quality: Int = RGBImage.usualQuality
  ) throws(SparseDiTError) {
    guard images.indices.contains(index) else {
      throw .invalidArgument("there is no picture \(index): there are \(images.count)")
    }
    let bytes = try images[index].jpeg(quality: quality, parameters: parameters(of: index))
    try AtomicFile.write(bytes, to: path)
  }
}
