import Tensors

/// Knows how far a run is and what it took, and tells its caller, on the caller's thread.
final class RunProgress {
  private let plan: GenerationPlan
  private let control: RunControl
  private let thread: ComputeThread
  private var clock: StageClock
  private var stepsDone = 0
  private var imagesDone = 0

  init(
    _ plan: GenerationPlan, _ control: RunControl, _ thread: ComputeThread, loadSeconds: Double
  ) {
    self.plan = plan
    self.control = control
    self.thread = thread
    clock = StageClock(load: loadSeconds)
  }

  /// Counts what `body` takes to a stage.
  func timed<R>(
    _ stage: WritableKeyPath<StageSeconds, Double>, _ body: () throws(SparseDiTError) -> R
  ) throws(SparseDiTError) -> R {
    let start = Machine.seconds
    let result = try body()
    clock.add(Machine.seconds - start, to: stage)
    return result
  }

  /// - Parameter preview: makes a small picture of what is being drawn, where one is asked for.
  /// - Throws: `cancelled` when the caller says so.
  func finished(
    step: Int, image: Int, preview: () throws(SparseDiTError) -> RGBImage
  ) throws(SparseDiTError) {
    stepsDone += 1
    let progress = progress(image: image, step: step)
    if let onStep = control.onStep { try ask { onStep(progress) } }
    guard let onPreview = control.onPreview else { return }
    let picture = try preview()
    thread.callBack { onPreview(picture, progress) }
  }

  /// - Parameter result: the picture alone, with what its stages took.
  /// - Throws: `cancelled` when the caller says so.
  func finished(
    image: Int, _ result: (StageSeconds) -> GenerationResult
  ) throws(SparseDiTError) {
    imagesDone += 1
    guard let onImage = control.onImage else { return }
    let alone = result(clock.lap())
    try ask { onImage(alone, image) }
  }

  /// What the stages took until now.
  func seconds() -> StageSeconds { clock.stop() }

  private func ask(_ question: () -> Bool) throws(SparseDiTError) {
    var goesOn = true
    thread.callBack { goesOn = question() }
    guard goesOn else { throw .cancelled }
  }

  private func progress(image: Int, step: Int) -> StepProgress {
    let (count, steps) = (plan.request.count, plan.blockPlans.count)
    let stepsLeft = Double(count * steps - stepsDone)
    // Unknown before the first picture is decoded, then as long as the pictures so far.
    let decoding = imagesDone == 0 ? 0 : clock.seconds.decode / Double(imagesDone)
    let blocks = plan.blockPlans[step - 1]
    return StepProgress(
      image: image, images: count, step: step, steps: steps, tokens: blocks.sparse.count,
      denseTokens: blocks.dense.count, seconds: clock.total,
      secondsLeft: clock.seconds.denoise / Double(stepsDone) * stepsLeft
        + decoding * Double(count - image))
  }
}
