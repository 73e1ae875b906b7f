import Tensors

/// What the configurations of ``DDPM`` and ``DDIM`` have in common.
struct AncestralSettings: Sendable {
  let prediction: Prediction
  let spacing: TimestepSpacing
  let stepsOffset: Int
  /// Largest magnitude of x₀; infinite where it is not clipped.
  let clip: Float
  let training: TrainingSchedule

  /// - Parameter clips: whether x₀ is clipped where the configuration does not say.
  init(_ config: ConfigObject, clips: Bool) throws(SparseDiTError) {
    try config.require("thresholding", equals: false)
    prediction = try Prediction(config)
    spacing = try TimestepSpacing(config, default: .leading)
    stepsOffset = try config.int("steps_offset", in: 0...1000, default: 0)
    let range = try config.double("clip_sample_range", in: 0...1e6, default: 1)
    clip = try config.bool("clip_sample", default: clips) ? Float(range) : .infinity
    training = try TrainingSchedule(config, allowsPureNoise: true)
    if prediction == .epsilon, training.alphasCumulative.last == 0 {
      throw .unsupported(
        "\(config.name): rescale_betas_zero_snr: true is not supported with prediction_type"
          + " \"epsilon\": the first step would divide by no signal")
    }
  }

  /// Timesteps evenly respaced over the training ones.
  func plan(steps: Int) throws(SparseDiTError) -> SamplingPlan {
    guard (1...training.count).contains(steps) else {
      throw .invalidArgument(
        "\(steps) steps: this model's sampler takes 1 to \(training.count)")
    }
    let timesteps = spacing.respaced(
      steps: steps, trained: training.count, offset: stepsOffset
    ).map { Int($0.rounded(.toNearestOrEven)) }
    guard timesteps[0] < training.count else {
      throw .invalidArgument(
        "\(steps) steps: steps_offset \(stepsOffset) would lead beyond the last training timestep")
    }
    let sigmas = training.sigmas
    return SamplingPlan(
      timesteps: timesteps.map(Double.init), sigmas: timesteps.map { sigmas[$0] } + [0],
      initialNoiseScale: 1)
  }
}

/// ᾱ at a step's timestep and at the one that it goes to.
struct SignalLevels: Sendable {
  let current: Float
  let next: Float

  /// Variance of the noise in the sample, 1 − ᾱ.
  var currentNoise: Float { 1 - current }
  var nextNoise: Float { 1 - next }
}
