import Glibc
import Tensors

/// Denoising diffusion (Ho et al., arXiv 2006.11239), with the learned variance and the respacing of
/// Nichol and Dhariwal (arXiv 2102.09672), in the f32 arithmetic of diffusers' `DDPMScheduler`.
///
/// Refused with key and value: dynamic thresholding, and the variances `learned` and
/// `fixed_large_log`, whose square roots diffusers takes of negative numbers.
public struct DDPM: Sampler {
  /// The variance of the noise that a step adds.
  enum Variance: String, CaseIterable, Sendable {
    /// Of the posterior, given x₀: β̃.
    case fixedSmall = "fixed_small"
    /// The same, by way of its logarithm.
    case fixedSmallLog = "fixed_small_log"
    /// β.
    case fixedLarge = "fixed_large"
    /// Between ln β̃ and ln β, as the model's second half of channels says from −1 to 1.
    case learnedRange = "learned_range"
  }

  let settings: AncestralSettings
  let variance: Variance

  /// - Parameters:
  ///   - clips: whether x₀ is clipped where the configuration does not say.
  ///   - variance: the variance where the configuration does not say.
  init(
    config: ConfigObject, clips: Bool = true, variance: Variance = .fixedSmall
  ) throws(SparseDiTError) {
    try SchedulerKeys.refuseUnknown(config, of: .ddpm)
    settings = try AncestralSettings(config, clips: clips)
    let name = try config.string(
      "variance_type", oneOf: Variance.allCases.map(\.rawValue), default: variance.rawValue)
    self.variance = Variance(rawValue: name) ?? variance
  }

  public var name: String { "DDPM" }
  public var maxSteps: Int { settings.training.count }
  public var usesLearnedVariance: Bool { variance == .learnedRange }
  public var isStochastic: Bool { true }

  public func plan(steps: Int) throws(SparseDiTError) -> SamplingPlan {
    try settings.plan(steps: steps)
  }

  public func start(_ plan: SamplingPlan, noise: StepNoise) -> any SamplingRun {
    DDPMRun(settings: settings, variance: variance, plan: plan, noise: noise)
  }
}

/// One picture's way through ``DDPM``.
struct DDPMRun: SamplingRun {
  let settings: AncestralSettings
  let variance: DDPM.Variance
  let plan: SamplingPlan
  var stepNoise: StepNoise
  private(set) var index = 0
  private(set) var denoised: [Float] = []

  init(
    settings: AncestralSettings, variance: DDPM.Variance, plan: SamplingPlan,
    noise: StepNoise
  ) {
    self.settings = settings
    self.variance = variance
    self.plan = plan
    stepNoise = noise
  }

  mutating func step(
    modelOutput: UnsafeBufferPointer<Float>, sample: UnsafeMutableBufferPointer<Float>
  ) throws(SparseDiTError) {
    let outputsPerValue = variance == .learnedRange ? 2 : 1
    try checkStep(outputs: modelOutput.count, samples: sample.count, ratio: outputsPerValue)
    let levels = levels
    estimate(modelOutput, sample, levels)
    // q(x_next | x, x₀) has the mean a·x₀ + b·x, formula (7) of Ho et al.
    let kept = levels.current / levels.next
    let dataWeight = levels.next.squareRoot() * (1 - kept) / levels.currentNoise
    let sampleWeight = kept.squareRoot() * levels.nextNoise / levels.currentNoise
    for place in sample.indices {
      sample[place] = dataWeight * denoised[place] + sampleWeight * sample[place]
    }
    // Timestep 0 is the data: what leads there is not noised.
    if plan.timesteps[index] > 0 {
      let variances = UnsafeBufferPointer(rebasing: modelOutput[(modelOutput.count / 2)...])
      addNoise(to: sample, levels, variances)
    }
    index += 1
  }

  private var levels: SignalLevels {
    let signal = settings.training.alphasCumulative
    let isLast = index == plan.steps - 1
    return SignalLevels(
      current: signal[Int(plan.timesteps[index])],
      next: isLast ? 1 : signal[Int(plan.timesteps[index + 1])])
  }

  private mutating func estimate(
    _ output: UnsafeBufferPointer<Float>, _ sample: UnsafeMutableBufferPointer<Float>,
    _ levels: SignalLevels
  ) {
    let (alpha, sigma) = (levels.current.squareRoot(), levels.currentNoise.squareRoot())
    let (prediction, clip) = (settings.prediction, settings.clip)
    denoised = sample.indices.map { place in
      let data = prediction.data(output[place], sample[place], alpha: alpha, sigma: sigma)
      return min(max(data, -clip), clip)
    }
  }

  /// - Parameter learned: where between the smallest (−1) and the largest (1) variance the model
  ///   puts each value; read only where it is learned.
  private mutating func addNoise(
    to sample: UnsafeMutableBufferPointer<Float>, _ levels: SignalLevels,
    _ learned: UnsafeBufferPointer<Float>
  ) {
    let noise = stepNoise.next(count: sample.count)
    let largest = 1 - levels.current / levels.next
    // Its logarithm is taken, so diffusers keeps it from 0.
    let smallest = max(levels.nextNoise / levels.currentNoise * largest, 1e-20)
    let smallestLog = naturalLogarithm(smallest)
    if variance == .learnedRange {
      let largestLog = naturalLogarithm(largest)
      for place in sample.indices {
        let share = (learned[place] + 1) / 2
        let logarithm = share * largestLog + (1 - share) * smallestLog
        sample[place] += exp(0.5 * logarithm) * noise[place]
      }
      return
    }
    let deviation =
      switch variance {
      case .fixedLarge: largest.squareRoot()
      case .fixedSmallLog: exp(0.5 * smallestLog)
      case .fixedSmall, .learnedRange: smallest.squareRoot()
      }
    for place in sample.indices { sample[place] += deviation * noise[place] }
  }
}
