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
    return SamplingPlan(timesteps: timesteps, sigmas: sigmas, initialNoiseScale: 1)
  }

  public func start(_ plan: SamplingPlan) -> any SamplingRun {
    DPMSolverRun(settings: settings, plan: plan)
  }

  /// Timesteps from here on are too noisy for `lambda_min_clipped`; the number of those that are not.
  private var lastTimestep: Int {
    guard settings.lambdaMinimum > -.infinity else { return training.count }
    let clip = Float(settings.lambdaMinimum)
    return max(training.lambdas.count { !($0 < clip) }, 2)
  }
}

/// Noise levels whose seventh roots are evenly spaced (Karras et al., arXiv 2206.00364).
private struct KarrasRamp {
  let trainingSigmas: [Float]
  let logSigmas: [Float]

  init(trainingSigmas: [Float]) {
    self.trainingSigmas = trainingSigmas
    logSigmas = trainingSigmas.map(naturalLogarithm)
  }

  /// From the largest training σ to the smallest.
  func sigmas(steps: Int) -> [Double] {
    let rho = 7.0
    let most = pow(Double(trainingSigmas[trainingSigmas.count - 1]), 1 / rho)
    let least = pow(Double(trainingSigmas[0]), 1 / rho)
    let interval = steps > 1 ? 1 / Double(steps - 1) : 0
    return (0..<steps).map { index in
      // As numpy's linspace: the last value is exactly the end.
      let ramp = index > 0 && index == steps - 1 ? 1 : Double(index) * interval
      return pow(most + ramp * (least - most), rho)
    }
  }

  /// Where this σ lies among the training timesteps, interpolating ln σ.
  func timestep(of sigma: Double) -> Double {
    let logSigma = log(max(sigma, 1e-10))
    let above = logSigmas.firstIndex { Double($0) > logSigma } ?? logSigmas.count
    let low = min(max(above - 1, 0), logSigmas.count - 2)
    let span = Double(logSigmas[low] - logSigmas[low + 1])
    let weight = min(max((Double(logSigmas[low]) - logSigma) / span, 0), 1)
    return (1 - weight) * Double(low) + weight * Double(low + 1)
  }
}
