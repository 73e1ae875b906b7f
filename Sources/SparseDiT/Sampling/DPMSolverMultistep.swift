import Glibc
import Tensors

/// DPM-Solver and DPM-Solver++ in multistep form (Lu et al., arXiv 2206.00927 and 2211.01095), with
/// the settings, orders and f32 arithmetic of diffusers' `DPMSolverMultistepScheduler`.
///
/// Not offered, and refused with the setting's name when a configuration asks for it: the stochastic
/// variants, dynamic thresholding, flow matching, and the Lu, exponential and beta noise levels.
public struct DPMSolverMultistep: Sampler {
  let settings: Settings
  let training: TrainingSchedule
  /// ``TrainingSchedule/sigmas``, taken once.
  private let trainingSigmas: [Float]

  /// Reads a `scheduler_config.json`. What is missing has diffusers' default.
  ///
  /// - Throws: `unsupported` or `invalidData`, naming the key and its value.
  package init(config: ConfigObject) throws(SparseDiTError) {
    settings = try Settings(config)
    training = try TrainingSchedule(config)
    trainingSigmas = training.sigmas
  }

  public var name: String {
    var name = settings.algorithm == .dataPrediction ? "DPM++" : "DPM"
    name += settings.order == 1 ? "" : " \(settings.order)M"
    return settings.usesKarrasSigmas ? name + " Karras" : name
  }

  public var maxSteps: Int {
    settings.spacing == .trailing ? lastTimestep : lastTimestep - 1
  }

  public func plan(steps: Int) throws(SparseDiTError) -> SamplingPlan {
    guard (1...maxSteps).contains(steps) else {
      throw .invalidArgument("\(steps) steps: this model's sampler takes 1 to \(maxSteps)")
    }
    var timesteps = settings.spacing.timesteps(
      steps: steps, last: lastTimestep, trained: training.count, offset: settings.stepsOffset)
    var sigmas: [Float]
    if settings.usesKarrasSigmas {
      let ramp = KarrasRamp(trainingSigmas: trainingSigmas)
      let levels = ramp.sigmas(steps: steps)
      timesteps = levels.map { sigma in
        let timestep = ramp.timestep(of: sigma)
        return Int(settings.roundsKarrasTimesteps ? timestep.rounded(.toNearestOrEven) : timestep)
      }
      sigmas = levels.map(Float.init)
    } else {
      sigmas = timesteps.map { trainingSigmas[min(max($0, 0), training.count - 1)] }
    }
    sigmas.append(settings.endsAtZero ? 0 : trainingSigmas[0])
    guard zip(sigmas, sigmas.dropFirst()).allSatisfy({ $0 > $1 }) else {
      throw .invalidArgument(
        "\(steps) steps: this model's sampler would stay at one noise level; take another number")
    }
    return SamplingPlan(
      timesteps: timesteps.map(Double.init), sigmas: sigmas, initialNoiseScale: 1)
  }

  public var usesLearnedVariance: Bool { false }
  public var isStochastic: Bool { false }

  public func start(_ plan: SamplingPlan, noise: StepNoise) -> any SamplingRun {
    DPMSolverRun(settings: settings, plan: plan)
  }

  /// Timesteps from here on are too noisy for `lambda_min_clipped`; the number of those that are not.
  private var lastTimestep: Int {
    guard settings.lambdaMinimum > -.infinity else { return training.count }
    let clip = Float(settings.lambdaMinimum)
    return max(training.lambdas.count { !($0 < clip) }, 2)
  }
}
