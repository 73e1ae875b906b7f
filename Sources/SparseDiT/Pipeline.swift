import Tensors

/// Draws pictures from prompts: prompt → tokens → text embedding → latents → pixels; or from class
/// labels, with models that draw classes: label → latents → pixels.
///
/// A pipeline owns a loaded model, its scratch memory and a worker thread. It may be used from any
/// thread, by one at a time: a second call while one runs throws ``SparseDiTError/busy(_:)``.
public final class Pipeline: @unchecked Sendable {
  // Unchecked: `compute` and `fittedPreview` are only used on `thread`, by one call at a time; all
  // else is immutable.
  let model: LoadedModel
  let options: PipelineOptions
  private let thread: ComputeThread
  private let compute: Compute
  var precision: Precision { compute.precision }
  var threads: Int { compute.threads }
  var packedBytes: Int { compute.packedBytes }
  var activationDType: DType { compute.activationDType }
  private let loadSeconds: Double
  private var fittedPreview: LatentPreview?

  /// Loads a model.
  ///
  /// - Throws: `notFound`, `invalidData` or `unsupported` naming the file, key or tensor that is
  ///   wrong, `unsupported` also on a CPU without AVX2; `invalidArgument` for options out of range;
  ///   `outOfMemory` when weights that must be converted do not fit, and when the system refuses the
  ///   threads.
  public init(
    model folder: ModelFolder, options: PipelineOptions = PipelineOptions()
  ) throws(SparseDiTError) {
    let begin = Machine.seconds
    try options.check()
    try ProcessMemory.check(1 << 20, for: "a pipeline without its model")
    let precision = options.precision ?? (CPULevel.inUse.hasBF16 ? .bf16 : .f32)
    let memory = options.memoryLimit ?? Machine.availableMemory
    thread = try ComputeThread()
    model = try thread.sync { () throws(SparseDiTError) in
      try LoadedModel(folder, precision: precision, memoryLimit: memory)
    }
    let converted = model.convertedBytes
    compute = try thread.sync { () throws(SparseDiTError) in
      try Compute(
        threads: options.threads ?? ComputeThread.usableCPUs, precision: precision,
        memoryLimit: options.memoryLimit.map { $0 - converted })
    }
    self.options = options
    loadSeconds = Machine.seconds - begin
    if let advice = model.conditioning.text?.tokenizer.advice { options.log?(advice) }
  }

  /// Draws `request.count` pictures.
  ///
  /// - Throws: what ``check(_:)`` throws, before any work; ``SparseDiTError/cancelled``;
  ///   `invalidData` naming a weight tensor with NaN or infinite values, if that spoilt a stage;
  ///   `busy` when another thread is inside this pipeline.
  public func generate(
    _ request: GenerationRequest, control: RunControl = RunControl()
  ) throws(SparseDiTError) -> GenerationResult {
    try exclusively(control) { (model, compute) throws(SparseDiTError) in
      // Not on the caller's thread: its rounding mode would reach the sampling plan.
      let job = try GenerationJob(request, model: model, info: info)
      compute.scratchAllowance = try checkMemory(of: job)
      defer { compute.scratchAllowance = nil }
      warn(about: job)
      let run = GenerationRun(
        job, model, compute, control, thread, loadSeconds: loadSeconds, preview: preview)
      let condition = try run.condition()
      for image in 0..<request.count {
        let (latents, generator) = try run.noise(image: image)
        try run.denoise(latents, generator, condition, image: image)
        try run.decode(latents)
      }
      return run.result()
    }
  }

  /// Finds every mistake in a request, and whether it would fit in memory, without doing it.
  ///
  /// - Throws: `invalidArgument`, `outOfMemory`.
  public func check(_ request: GenerationRequest) throws(SparseDiTError) {
    _ = try checkMemory(of: GenerationJob(request, model: model, info: info))
  }

  /// Runs `body` on the pipeline's thread while the caller waits and serves callbacks: the one door
  /// to everything heavy.
  ///
  /// - Throws: what `body` throws; `cancelled` when `control` already is; `busy` when another call
  ///   is inside.
  package func exclusively<R>(
    _ control: RunControl, _ body: (LoadedModel, Compute) throws(SparseDiTError) -> R
  ) throws(SparseDiTError) -> R {
    try control.checkCancelled()
    return try thread.sync { () throws(SparseDiTError) in try body(model, compute) }
  }

  /// The map for previews, fitted when the first is asked for.
  private func preview(_ compute: Compute) throws(SparseDiTError) -> LatentPreview {
    if let fittedPreview { return fittedPreview }
    let fitted = try LatentPreview(of: model.autoencoder, on: compute)
    fittedPreview = fitted
    return fitted
  }

  private func warn(about job: GenerationJob) {
    if job.runsUntrainedSparse {
      options.log?(
        "\(model.name): this checkpoint was trained dense; without fine-tuning, sparse tokens cost"
          + " quality")
    }
    if let words = model.words { warn(about: job, knowing: words) }
  }

  /// A model with a list of its words has seen nothing else, and pictures of one size only.
  private func warn(about job: GenerationJob, knowing words: KnownWords) {
    if let word = words.firstUnknown(in: job.request.prompt) {
      options.log?(
        "\(model.name) does not know \"\(word)\"; `sparsedit-t2i --words` lists what it knows")
    }
    let (width, height) = (info.defaultWidth, info.defaultHeight)
    let fits = [(job.width, width), (job.height, height)].allSatisfy { side, usual in
      side * 4 >= usual * 3 && side * 2 <= usual * 3
    }
    if !fits {
      options.log?(
        "\(model.name) was made for \(width)×\(height): \(job.width)×\(job.height) may look broken")
    }
  }
}
