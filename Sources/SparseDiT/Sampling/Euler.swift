import Tensors

/// Euler's method on the probability flow, with samples whose noise has the standard deviation σ
/// (Karras et al., arXiv 2206.00364, algorithm 2 without churn), as diffusers'
/// `EulerDiscreteScheduler` does it.
///
/// Refused with key and value: log-linear interpolation, continuous timesteps, exponential and beta
/// noise levels, and other bounds of σ than the training's.
public struct Euler: Sampler {
  let prediction: Prediction
  private let spacing: TimestepSpacing
  private let stepsOffset: Int
  private let usesKarrasSigmas: Bool
  /// Whether the run ends at σ = 0 or at the least training σ.
  private let endsAtZero: Bool
  private let trainingSigmas: [Float]

  init(config: ConfigObject) throws(SparseDiTError) {
    try SchedulerKeys.refuseUnknown(config, of: .euler)
    for key in ["use_exponential_sigmas", "use_beta_sigmas"] {
      try config.require(key, equals: false)
    }
    for key in ["sigma_min", "sigma_max"] { try config.requireNull(key) }
    try config.require("interpolation_type", equals: "linear")
    try config.require("timestep_type", equals: "discrete")
    prediction = try Prediction(config)
    spacing = try TimestepSpacing(config, default: .linspace)
    stepsOffset = try config.int("steps_offset", in: 0...1000, default: 0)
    usesKarrasSigmas = try config.bool("use_karras_sigmas", default: false)
    endsAtZero =
      try config.string("final_sigmas_type", oneOf: ["zero", "sigma_min"], default: "zero")
      == "zero"
    trainingSigmas = try TrainingSchedule(config).sigmas
  }

  public var name: String { usesKarrasSigmas ? "Euler Karras" : "Euler" }
  public var maxSteps: Int { trainingSigmas.count }
  public var usesLearnedVariance: Bool { false }
  public var isStochastic: Bool { false }

  public func plan(steps: Int) throws(SparseDiTError) -> SamplingPlan {
    guard (1...maxSteps).contains(steps) else {
      throw .invalidArgument("\(steps) steps: this model's sampler takes 1 to \(maxSteps)")
    }
    // The model is asked at f32 timesteps between the trained ones.
    var timesteps = spacing.respaced(
      steps: steps, trained: trainingSigmas.count, offset: stepsOffset
    ).map { Double(Float($0)) }
    guard timesteps[0] < Double(trainingSigmas.count) else {
      throw .invalidArgument(
        "\(steps) steps: steps_offset \(stepsOffset) would lead beyond the last training timestep")
    }
    var levels = timesteps.map(sigma(at:))
    if usesKarrasSigmas {
      let ramp = KarrasRamp(trainingSigmas: trainingSigmas)
      levels = ramp.sigmas(steps: steps, from: levels[0], to: levels[levels.count - 1])
      timesteps = levels.map { Double(Float(ramp.timestep(of: $0))) }
    }
    var sigmas = levels.map(Float.init)
    sigmas.append(endsAtZero ? 0 : trainingSigmas[0])
    // Where spacing leads, the first sample holds the data's unit variance too.
    let largest = sigmas[0]
    let scale = spacing == .leading ? (largest * largest + 1).squareRoot() : largest
    return SamplingPlan(timesteps: timesteps, sigmas: sigmas, initialNoiseScale: scale)
  }

  public func start(_ plan: SamplingPlan, noise: StepNoise) -> any SamplingRun {
    EulerRun(prediction: prediction, plan: plan)
  }

  /// σ between two training timesteps; at the ends, theirs.
  private func sigma(at timestep: Double) -> Double {
    let last = trainingSigmas.count - 1
    guard timestep > 0 else { return Double(trainingSigmas[0]) }
    guard timestep < Double(last) else { return Double(trainingSigmas[last]) }
    let below = Int(timestep)
    let (low, high) = (Double(trainingSigmas[below]), Double(trainingSigmas[below + 1]))
    return (high - low) * (timestep - Double(below)) + low
  }
}

/// One picture's way through ``Euler``.
struct EulerRun: SamplingRun {
  let prediction: Prediction
  let plan: SamplingPlan
  private(set) var index = 0
  private(set) var denoised: [Float] = []

  init(prediction: Prediction, plan: SamplingPlan) {
    self.prediction = prediction
    self.plan = plan
  }

  /// The model knows samples of unit variance: x / √(σ² + 1).
  func scaleModelInput(
    _ sample: UnsafeBufferPointer<Float>, into input: UnsafeMutableBufferPointer<Float>
  ) {
    let sigma = plan.sigmas[min(index, plan.steps - 1)]
    let deviation = (sigma * sigma + 1).squareRoot()
    for place in sample.indices { input[place] = sample[place] / deviation }
  }

  mutating func step(
    modelOutput: UnsafeBufferPointer<Float>, sample: UnsafeMutableBufferPointer<Float>
  ) throws(SparseDiTError) {
    try checkStep(outputs: modelOutput.count, samples: sample.count)
    let sigma = plan.sigmas[index]
    let variance = sigma * sigma + 1
    let velocityWeight = -sigma / variance.squareRoot()
    let prediction = prediction
    denoised = sample.indices.map { place in
      let (output, value) = (modelOutput[place], sample[place])
      return switch prediction {
      case .epsilon: value - sigma * output
      case .sample: output
      case .velocity: output * velocityWeight + value / variance
      }
    }
    let change = plan.sigmas[index + 1] - sigma
    for place in sample.indices {
      let slope = (sample[place] - denoised[place]) / sigma
      sample[place] += slope * change
    }
    index += 1
  }
}
