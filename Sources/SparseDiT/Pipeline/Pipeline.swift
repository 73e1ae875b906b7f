import Tensors

/// Draws pictures from prompts: prompt → tokens → text embedding → latents → pixels; or from class
/// labels, with models that draw classes: label → latents → pixels.
///
/// A pipeline owns a loaded model, its scratch memory and a worker thread. It may be used from any
/// thread, by one at a time: a second call while one runs throws ``SparseDiTError/busy(_:)``.
public final class Pipeline: @unchecked Sendable {
  // Unchecked: `compute` and `fittedPreview` are only used on `thread`, by the one call that `gate`
  // has let in; all else is immutable.
  let model: LoadedModel
  let options: PipelineOptions
  /// What the model is, and what requests may ask of it.
  public let info: ModelInfo
  /// Where calls come in, and where the one that is inside is cancelled.
  package let gate = Gate("pipeline")
  private let thread: ComputeThread
  private let compute: Compute
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
    let precision = options.precision ?? Machine.precision
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
    info = try ModelInfo(model, compute)
    loadSeconds = Machine.seconds - begin
    if let advice = model.condition.text?.tokenizer.advice { options.log?(advice) }
  }

  /// Draws `request.count` pictures.
  ///
  /// - Parameter density: says in place of `request.sparsity` how many tokens are kept, on the thread
  ///   that called, before work begins.
  /// - Throws: what ``check(_:)`` throws, before any work; what `density` throws;
  ///   ``SparseDiTError/cancelled``; `invalidData` naming a weight tensor with NaN or infinite values,
  ///   if that spoilt a stage; `busy` when another call is inside this pipeline.
  public func generate(
    _ request: GenerationRequest, asking density: TokenDensity? = nil,
    control: RunControl = RunControl()
  ) throws(SparseDiTError) -> GenerationResult {
    try enter(control.cancellation) { stages throws(SparseDiTError) in
      try stages.generate(request, asking: density, control: control)
    }
  }

  /// Finds every mistake in a request, and whether it would fit in memory, without doing it.
  ///
  /// - Throws: `invalidArgument`, `outOfMemory`; `busy` when another call is inside this pipeline.
  public func check(_ request: GenerationRequest) throws(SparseDiTError) {
    _ = try plan(request)
  }

  /// The label of the class that has this name: one of ``ModelInfo/classNames``, or all names of a
  /// class with commas between. Upper and lower case are the same.
  ///
  /// - Throws: `invalidArgument` for a name that no class or several classes have, and for a model
  ///   that draws no classes or whose folder lists no names.
  public func classLabel(named name: String) throws(SparseDiTError) -> Int {
    try model.outline.classLabel(named: name)
  }
}

extension Pipeline {
  /// T, the number of training timesteps.
  package var trainTimesteps: Int { model.outline.trainTimesteps }

  /// What ``generate(_:asking:control:)`` is to do, checked as ``check(_:)`` does.
  package func plan(_ request: GenerationRequest) throws(SparseDiTError) -> GenerationPlan {
    try exclusively { (_, _) throws(SparseDiTError) in
      let plan = try makePlan(request, asking: nil)
      try checkMemory(of: plan)
      return plan
    }
  }

  /// Draws what was planned by this pipeline.
  package func generate(
    _ plan: GenerationPlan, control: RunControl = RunControl()
  ) throws(SparseDiTError) -> GenerationResult {
    try exclusively(control.cancellation) { (_, _) throws(SparseDiTError) in
      try draw(plan, control)
    }
  }

  /// - Throws: as ``generate(_:asking:control:)`` for a request that it would refuse, except for its
  ///   memory.
  package func cost(of request: GenerationRequest) throws(SparseDiTError) -> RequestCost {
    try enter(Cancellation()) { stages throws(SparseDiTError) in
      try stages.cost(of: request, asking: nil)
    }
  }

  /// Makes one call that no other may run beside.
  ///
  /// - Throws: what `call` throws; `busy`.
  private func enter<R>(
    _ cancellation: Cancellation, _ call: (PipelineStages) throws(SparseDiTError) -> R
  ) throws(SparseDiTError) -> R {
    try gate.enter(cancellation)
    defer { gate.leave() }
    return try call(stages(cancellation))
  }

  /// Runs `body` on the pipeline's thread while the caller waits and serves callbacks: the one door
  /// to everything heavy. The caller has passed the gate.
  ///
  /// - Throws: what `body` throws; `cancelled` where that was asked for already.
  func onWorker<R>(
    _ cancellation: Cancellation, _ body: (LoadedModel, Compute) throws(SparseDiTError) -> R
  ) throws(SparseDiTError) -> R {
    try cancellation.check()
    return try thread.sync { () throws(SparseDiTError) in try body(model, compute) }
  }

  /// Through the gate and to the thread.
  func exclusively<R>(
    _ cancellation: Cancellation = Cancellation(),
    _ body: (LoadedModel, Compute) throws(SparseDiTError) -> R
  ) throws(SparseDiTError) -> R {
    try enter(cancellation) { (_) throws(SparseDiTError) in try onWorker(cancellation, body) }
  }
}

// On the worker.
extension Pipeline {
  /// The one place where a request to be drawn is planned: not on the caller's thread, whose rounding
  /// mode would reach the timesteps.
  func makePlan(
    _ request: GenerationRequest, asking density: TokenDensity?
  ) throws(SparseDiTError) -> GenerationPlan {
    try model.plan(
      request, asking: density.map(onCallersThread),
      format: NumberFormat(compute.precision, activations: compute.activationDType))
  }

  /// From the plan to the pictures.
  func draw(
    _ plan: GenerationPlan, _ control: RunControl
  ) throws(SparseDiTError) -> GenerationResult {
    try checkMemory(of: plan)
    compute.scratchAllowance = plan.peakBytes
    defer { compute.scratchAllowance = nil }
    for line in Advice(on: plan).lines { options.log?(line) }
    let progress = RunProgress(plan, control, thread, loadSeconds: loadSeconds)
    let run = try GenerationRun(plan, model, compute, control, progress, preview: preview)
    let condition = try run.condition()
    for image in 0..<plan.request.count {
      let (latents, generator) = try run.noise(image: image)
      try run.denoise(latents, generator, condition, image: image)
      try run.decode(latents, image: image)
    }
    return run.result()
  }

  private func checkMemory(of plan: GenerationPlan) throws(SparseDiTError) {
    let limit = options.memoryLimit.map {
      ($0 - model.convertedBytes, "what the model leaves of the memory limit")
    }
    let packed = compute.packedBytes
    let free = Machine.availableMemory.map { $0 + packed }
    try plan.checkMemory(
      threads: compute.threads, packed: packed,
      limit: limit ?? (free ?? .max, "what the machine has free"))
  }

  /// A host's function is called on the thread that waits for this one.
  private func onCallersThread(_ density: @escaping TokenDensity) -> TokenDensity {
    { [thread] timestep, picture throws(SparseDiTError) in
      var answer: Result<TokenTable.Density, SparseDiTError>?
      thread.callBack {
        answer = Result { () throws(SparseDiTError) in try density(timestep, picture) }
      }
      guard let answer else { throw .internalFailure("a callback was not called") }
      return try answer.get()
    }
  }

  /// The map for previews, fitted when the first is asked for.
  private func preview(_ compute: Compute) throws(SparseDiTError) -> LatentPreview {
    if let fittedPreview { return fittedPreview }
    let fitted = try LatentPreview(of: model.autoencoder, on: compute)
    fittedPreview = fitted
    return fitted
  }
}
