import Tensors

/// Draws pictures from prompts: prompt → tokens → text embedding → latents → pixels.
///
/// A pipeline owns a loaded model, its scratch memory and a worker thread. It may be used from any
/// thread, by one at a time: a second call while one runs throws ``SparseDiTError/busy(_:)``.
public final class Pipeline: Sendable {
  /// Loads a model.
  public init(model: ModelFolder, options: PipelineOptions = PipelineOptions())
    throws(SparseDiTError)
  {
    throw .internalFailure("not written yet")
  }

  /// What the model is, and what requests may ask of it.
  public var info: ModelInfo { fatalError("not written yet") }

  /// Draws `request.count` pictures.
  ///
  /// - Throws: what ``check(_:)`` throws, before any work; ``SparseDiTError/cancelled``;
  ///   `invalidData` naming a weight tensor with NaN or infinite values, if that spoilt the picture;
  ///   `busy` when another thread is inside this pipeline.
  public func generate(_ request: GenerationRequest, control: RunControl = RunControl())
    throws(SparseDiTError) -> GenerationResult
  {
    throw .internalFailure("not written yet")
  }

  /// Finds every mistake in a request, and whether it would fit in memory, without doing it.
  public func check(_ request: GenerationRequest) throws(SparseDiTError) {
    throw .internalFailure("not written yet")
  }
}
