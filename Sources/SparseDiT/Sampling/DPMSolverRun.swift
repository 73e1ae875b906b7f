import Glibc
import Tensors

/// One picture's way through ``DPMSolverMultistep``: the predictions of the last steps.
struct DPMSolverRun: SamplingRun {
  let plan: SamplingPlan
  private(set) var index = 0
  private(set) var denoised: [Float] = []
  private let settings: DPMSolverMultistep.Settings
  /// The integrated prediction (x₀ or ε) at the last steps, latest first; at most `order` of them.
  private var history: [[Float]] = []

  init(settings: DPMSolverMultistep.Settings, plan: SamplingPlan) {
    self.settings = settings
    self.plan = plan
  }

  mutating func step(
    modelOutput: UnsafeBufferPointer<Float>, sample: UnsafeMutableBufferPointer<Float>
  ) throws(SparseDiTError) {
    try checkStep(outputs: modelOutput.count, samples: sample.count)
    remember(modelOutput, at: UnsafeBufferPointer(sample))
    let coefficients = coefficients(order: orderOfNextStep)
    coefficients.apply(history, to: sample)
    index += 1
  }

  private var orderOfNextStep: Int {
    let short = settings.lowerOrderFinal && plan.steps < 15
    let isLast = index == plan.steps - 1
    if isLast && (settings.eulerAtFinal || short || settings.endsAtZero) { return 1 }
    let isLastButOne = index == plan.steps - 2
    return min(history.count, isLastButOne && short ? 2 : settings.order)
  }

  // MARK: What is integrated

  /// Turns the model's output into the prediction that the solver integrates, and keeps it.
  private mutating func remember(
    _ output: UnsafeBufferPointer<Float>, at sample: UnsafeBufferPointer<Float>
  ) {
    let level = NoiseLevel(sigma: plan.sigmas[index])
    let (alpha, sigma) = (level.alpha, level.sigma)
    let prediction = settings.prediction
    let data = zipMap(output, sample) {
      prediction.data($0, $1, alpha: alpha, sigma: sigma)
    }
    if history.count == settings.order { history.removeLast() }
    switch settings.algorithm {
    case .dataPrediction:
      history.insert(data, at: 0)
    case .noisePrediction:
      let noise = zipMap(output, sample) {
        prediction.noise($0, $1, alpha: alpha, sigma: sigma)
      }
      history.insert(noise, at: 0)
    }
    denoised = data
  }

  // MARK: The update

  /// The step's weights, each computed in f32 in diffusers' order of operations.
  private func coefficients(order: Int) -> UpdateCoefficients {
    let target = NoiseLevel(sigma: plan.sigmas[index + 1])
    let current = NoiseLevel(sigma: plan.sigmas[index])
    let h = target.lambda - current.lambda
    // DPM-Solver++ integrates x₀ over e^λ, DPM-Solver ε over e^−λ: α, σ and the sign of h change places.
    let isData = settings.algorithm == .dataPrediction
    let phi = Float(exp(Double(isData ? -h : h))) - 1
    let scale = isData ? target.alpha : target.sigma
    let kept = isData ? target.sigma / current.sigma : target.alpha / current.alpha
    var result = UpdateCoefficients(sample: kept, latest: scale * phi)
    guard order > 1 else { return result }
    let earlier = NoiseLevel(sigma: plan.sigmas[index - 1])
    let ratio = (current.lambda - earlier.lambda) / h
    result.ratio = ratio
    let heun = isData ? scale * (phi / h + 1) : -(scale * (phi / h - 1))
    if order == 2 {
      result.slope = settings.secondOrder == .heun ? heun : -(0.5 * (scale * phi))
      return result
    }
    let earliest = NoiseLevel(sigma: plan.sigmas[index - 2])
    result.earlierRatio = (earlier.lambda - earliest.lambda) / h
    result.slope = heun
    result.curvature =
      isData ? scale * ((phi + h) / (h * h) - 0.5) : scale * ((phi - h) / (h * h) - 0.5)
    return result
  }
}

/// α, σ and λ = ln α − ln σ of the variance-preserving process at one noise to signal ratio.
private struct NoiseLevel {
  let alpha: Float
  let sigma: Float
  let lambda: Float

  init(sigma ratio: Float) {
    alpha = 1 / (ratio * ratio + 1).squareRoot()
    sigma = ratio * alpha
    lambda = naturalLogarithm(alpha) - naturalLogarithm(sigma)
  }
}

/// x ← sample·x − latest·D₀ + slope·D₁ − curvature·D₂, with D the finite differences of the last
/// predictions over their steps in λ.
private struct UpdateCoefficients {
  var sample: Float
  var latest: Float
  var slope: Float = 0
  var curvature: Float = 0
  /// Steps in λ before the current one and before that, relative to the coming one.
  var ratio: Float?
  var earlierRatio: Float?

  /// - Parameter history: predictions, latest first, as many as the ratios need.
  func apply(_ history: [[Float]], to sample: UnsafeMutableBufferPointer<Float>) {
    let latest = history[0]
    guard let ratio else {
      for place in sample.indices {
        sample[place] = self.sample * sample[place] - self.latest * latest[place]
      }
      return
    }
    let previous = history[1]
    guard let earlierRatio else {
      for place in sample.indices {
        let first = (1 / ratio) * (latest[place] - previous[place])
        sample[place] =
          self.sample * sample[place] - self.latest * latest[place] + slope * first
      }
      return
    }
    let oldest = history[2]
    let blend = ratio / (ratio + earlierRatio)
    for place in sample.indices {
      let near = (1 / ratio) * (latest[place] - previous[place])
      let far = (1 / earlierRatio) * (previous[place] - oldest[place])
      let first = near + blend * (near - far)
      let second = (1 / (ratio + earlierRatio)) * (near - far)
      sample[place] =
        self.sample * sample[place] - self.latest * latest[place] + slope * first
        - curvature * second
    }
  }
}

private func zipMap(
  _ a: UnsafeBufferPointer<Float>, _ b: UnsafeBufferPointer<Float>, _ body: (Float, Float) -> Float
) -> [Float] {
  [Float](unsafeUninitializedCapacity: a.count) { values, count in
    for index in a.indices { values.initializeElement(at: index, to: body(a[index], b[index])) }
    count = a.count
  }
}
