import Tensors

/// A recipe that walks from noise to data along a denoising model's predictions.
///
/// A sampler is the immutable reading of one `scheduler_config.json`; it can be shared by threads.
/// What changes while one picture is drawn lives in the ``SamplingRun`` that it starts.
public protocol Sampler: Sendable {
  /// The name that image metadata carries, in the words of A1111: "DPM++ 2M".
  var name: String { get }

  /// Most steps that a plan can have.
  var maxSteps: Int { get }

  /// Whether a step's model output is the prediction followed by a variance of as many values.
  var usesLearnedVariance: Bool { get }

  /// Whether steps draw noise from the generator given to ``start(_:generator:)``.
  var isStochastic: Bool { get }

  /// Where `steps` steps would stop on the way from noise to data.
  ///
  /// - Throws: `invalidArgument` when `steps` is not in 1 … ``maxSteps``, or the noise would not fall
  ///   from each step to the next.
  func plan(steps: Int) throws(SparseDiTError) -> SamplingPlan

  /// Begins a picture, or a batch whose pictures share their timesteps.
  ///
  /// - Parameters:
  ///   - plan: a plan that this sampler made.
  ///   - noise: where a stochastic sampler draws its noise. To draw what diffusers draws, its
  ///     generator must be the one that drew the initial noise, in the state after that.
  func start(_ plan: SamplingPlan, noise: StepNoise) -> any SamplingRun
}

extension Sampler {
  /// Begins a picture whose noise is drawn for it alone.
  public func start(_ plan: SamplingPlan, generator: TorchGenerator) -> any SamplingRun {
    start(plan, noise: StepNoise(generator))
  }
}

/// The noise that a stochastic sampler adds in its steps.
public struct StepNoise: Sendable {
  private var generator: TorchGenerator
  private let batch: Int

  /// - Parameter batch: samples that noise is drawn for, of which the first is the caller's: a program
  ///   that takes both halves of a guided batch through the sampler, and then drops one, has drawn
  ///   the noise of two.
  public init(_ generator: TorchGenerator, batch: Int = 1) {
    self.generator = generator
    self.batch = max(batch, 1)
  }

  /// Standard normal values for the next step.
  mutating func next(count: Int) -> [Float] {
    let drawn = generator.randn(count: batch * count)
    return batch == 1 ? drawn : Array(drawn.prefix(count))
  }
}

/// The timesteps and noise levels of a run, known before the first step.
public struct SamplingPlan: Sendable, Hashable {
  /// Training timesteps at which the model is asked, from noise to data: one per step. Only ``Euler``
  /// asks between whole ones.
  public let timesteps: [Double]
  /// Noise to signal ratio σ/α at each timestep, and after the last step: one more than `timesteps`.
  /// Infinite where nothing of the signal is left.
  public let sigmas: [Float]
  /// Standard deviation that the initial noise is to have; unit noise is multiplied by it.
  public let initialNoiseScale: Float

  /// Number of model evaluations. It may be less than the number asked for, as in diffusers, when
  /// trailing timesteps round together.
  public var steps: Int { timesteps.count }
}

/// The sampler's state while one picture (or batch) is drawn. Used by one thread at a time.
///
/// Buffers belong to the caller, hold f32 in any layout (the arithmetic is per element), and are
/// not kept after a call returns.
public protocol SamplingRun {
  /// What this run follows.
  var plan: SamplingPlan { get }
  /// The step that ``step(modelOutput:sample:)`` takes next: 0 … plan.steps.
  var index: Int { get }

  /// Writes the model's input for the next step, for samplers whose model expects scaled samples.
  ///
  /// - Parameters:
  ///   - sample: the current sample.
  ///   - input: receives the scaled sample; has the same count.
  func scaleModelInput(
    _ sample: UnsafeBufferPointer<Float>, into input: UnsafeMutableBufferPointer<Float>)

  /// Takes the next step in place.
  ///
  /// - Parameters:
  ///   - modelOutput: the model's prediction at `plan.timesteps[index]`, guidance applied; behind
  ///     it the variance where the sampler uses one, and only there.
  ///   - sample: the current sample; receives the less noisy one. Every step has the same count.
  /// - Throws: `invalidArgument` when the plan is used up or the counts differ.
  mutating func step(
    modelOutput: UnsafeBufferPointer<Float>, sample: UnsafeMutableBufferPointer<Float>
  ) throws(SparseDiTError)

  /// The picture that the last step's prediction points at (x₀), for previews. Empty before the
  /// first step.
  var denoised: [Float] { get }
}

extension SamplingRun {
  public func scaleModelInput(
    _ sample: UnsafeBufferPointer<Float>, into input: UnsafeMutableBufferPointer<Float>
  ) {
    _ = input.update(fromContentsOf: sample)
  }

  /// - Parameter ratio: values of model output for each of the sample.
  /// - Throws: `invalidArgument` when ``step(modelOutput:sample:)`` must not be called like this.
  func checkStep(outputs: Int, samples: Int, ratio: Int = 1) throws(SparseDiTError) {
    guard index < plan.steps else {
      throw .invalidArgument("the sampler has taken all its \(plan.steps) steps")
    }
    let expected = index == 0 ? samples : denoised.count
    guard samples == expected, outputs % ratio == 0, outputs / ratio == samples else {
      let kind = ratio == 1 ? "" : " (prediction and variance)"
      throw .invalidArgument(
        "a sampler step on \(samples) elements, a model output of \(outputs)\(kind), after"
          + " steps on \(expected)")
    }
  }
}
