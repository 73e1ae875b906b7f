import Glibc

/// Noise levels whose seventh roots are evenly spaced (Karras et al., arXiv 2206.00364).
struct KarrasRamp {
  let trainingSigmas: [Float]
  private let logSigmas: [Float]

  init(trainingSigmas: [Float]) {
    self.trainingSigmas = trainingSigmas
    logSigmas = trainingSigmas.map(naturalLogarithm)
  }

  /// From the largest training σ to the smallest.
  func sigmas(steps: Int) -> [Double] {
    sigmas(
      steps: steps, from: Double(trainingSigmas[trainingSigmas.count - 1]),
      to: Double(trainingSigmas[0]))
  }

  func sigmas(steps: Int, from largest: Double, to smallest: Double) -> [Double] {
    let rho = 7.0
    let most = pow(largest, 1 / rho)
    let least = pow(smallest, 1 / rho)
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
