import Tensors

/// Denoising diffusion implicit models (Song et al., arXiv 2010.02502), in the f32 arithmetic of
/// diffusers' `DDIMScheduler`: deterministic with η = 0, as noisy as ``DDPM`` with η = 1.
///
/// As in diffusers, a step goes down by the training timesteps ÷ steps, whatever the spacing.
/// Refused with key and value: dynamic thresholding.
public struct DDIM: Sampler {
  let settings: AncestralSettings
  /// ᾱ where the last step goes.
  let finalSignal: Float
  /// Share of the posterior's standard deviation that is drawn anew, 0 … 1.
  let eta: Float

  /// - Parameter clips: whether x₀ is clipped where the configuration does not say.
  init(config: ConfigObject, eta: Double = 0, clips: Bool = true) throws(SparseDiTError) {
    try SchedulerKeys.refuseUnknown(config, of: .ddim)
    settings = try AncestralSettings(config, clips: clips)
    let endsAtOne = try config.bool("set_alpha_to_one", default: true)
    finalSignal = endsAtOne ? 1 : settings.training.alphasCumulative[0]
    self.eta = Float(eta)
  }

  public var name: String { "DDIM" }
  public var maxSteps: Int { settings.training.count }
  public var usesLearnedVariance: Bool { false }
  public var isStochastic: Bool { eta > 0 }

  public func plan(steps: Int) throws(SparseDiTError) -> SamplingPlan {
    try settings.plan(steps: steps)
  }

  public func start(_ plan: SamplingPlan, noise: StepNoise) -> any SamplingRun {
    DDIMRun(sampler: self, plan: plan, noise: noise)
  }
}

/// One picture's way through ``DDIM``.
struct DDIMRun: SamplingRun {
  let sampler: DDIM
  let plan: SamplingPlan
  var stepNoise: StepNoise
  private(set) var index = 0
  private(set) var denoised: [Float] = []

  init(sampler: DDIM, plan: SamplingPlan, noise: StepNoise) {
    self.sampler = sampler
    self.plan = plan
    stepNoise = noise
  }

  mutating func step(
    modelOutput: UnsafeBufferPointer<Float>, sample: UnsafeMutableBufferPointer<Float>
  ) throws(SparseDiTError) {
    try checkStep(outputs: modelOutput.count, samples: sample.count)
    let levels = levels
    let (alpha, sigma) = (levels.current.squareRoot(), levels.currentNoise.squareRoot())
    let variance =
      levels.nextNoise / levels.currentNoise * (1 - levels.current / levels.next)
    let deviation = sampler.eta * variance.squareRoot()
    // Formula (12) of Song et al. With η = 1 rounding may leave less than nothing under the root.
    let noiseWeight = max(levels.nextNoise - deviation * deviation, 0).squareRoot()
    let dataWeight = levels.next.squareRoot()
    let (prediction, clip) = (sampler.settings.prediction, sampler.settings.clip)
    denoised = []
    denoised.reserveCapacity(sample.count)
    for place in sample.indices {
      let (output, value) = (modelOutput[place], sample[place])
      let data = prediction.data(output, value, alpha: alpha, sigma: sigma)
      let clipped = min(max(data, -clip), clip)
      denoised.append(clipped)
      let noise = prediction.noise(output, value, alpha: alpha, sigma: sigma)
      sample[place] = dataWeight * clipped + noiseWeight * noise
    }
    if sampler.eta > 0 {
      let noise = stepNoise.next(count: sample.count)
      for place in sample.indices { sample[place] += deviation * noise[place] }
    }
    index += 1
  }

  private var levels: SignalLevels {
    let signal = sampler.settings.training.alphasCumulative
    let timestep = Int(plan.timesteps[index])
    let next = timestep - signal.count / plan.steps
    return SignalLevels(
      current: signal[timestep], next: next >= 0 ? signal[next] : sampler.finalSignal)
  }
}
