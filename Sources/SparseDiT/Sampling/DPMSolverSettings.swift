import Tensors

extension DPMSolverMultistep {
  /// What a `scheduler_config.json` says besides the training schedule.
  struct Settings: Sendable {
    /// Which prediction's integral the solver approximates.
    enum Algorithm: Sendable { case noisePrediction, dataPrediction }
    /// How the second-order term is weighted.
    enum SecondOrder: Sendable { case midpoint, heun }

    let algorithm: Algorithm
    /// 1 … 3.
    let order: Int
    let secondOrder: SecondOrder
    let prediction: Prediction
    let spacing: TimestepSpacing
    let stepsOffset: Int
    /// Below 15 steps, the last two are of lower order.
    let lowerOrderFinal: Bool
    let eulerAtFinal: Bool
    /// Whether the run ends at σ = 0 or at the least training σ.
    let endsAtZero: Bool
    let usesKarrasSigmas: Bool
    let roundsKarrasTimesteps: Bool
    let lambdaMinimum: Double
  }
}

extension DPMSolverMultistep.Settings {
  init(_ config: ConfigObject) throws(SparseDiTError) {
    try SchedulerKeys.refuseUnknown(config, of: .dpmSolverMultistep)
    try Self.refuseUnsupported(config)
    let algorithmName = try config.string(
      "algorithm_type", oneOf: ["dpmsolver++", "dpmsolver", "deis"], default: "dpmsolver++")
    let solverType = try config.string(
      "solver_type", oneOf: ["midpoint", "heun", "logrho", "bh1", "bh2"], default: "midpoint")
    let finalName = try config.string(
      "final_sigmas_type", oneOf: ["zero", "sigma_min"], default: "zero")
    // diffusers takes DEIS's names for the nearest of these, and configurations rely on that.
    algorithm = algorithmName == "dpmsolver" ? .noisePrediction : .dataPrediction
    secondOrder = solverType == "heun" ? .heun : .midpoint
    prediction = try Prediction(config)
    spacing = try TimestepSpacing(config, default: .linspace)
    endsAtZero = finalName == "zero"
    order = try config.int("solver_order", in: 1...3, default: 2)
    stepsOffset = try config.int("steps_offset", in: 0...1000, default: 0)
    lowerOrderFinal = try config.bool("lower_order_final", default: true)
    eulerAtFinal = try config.bool("euler_at_final", default: false)
    usesKarrasSigmas = try config.bool("use_karras_sigmas", default: false)
    roundsKarrasTimesteps =
      try config.string("beta_schedule", default: "linear") != "squaredcos_cap_v2"
    lambdaMinimum = try config.number("lambda_min_clipped", default: -.infinity)
    if algorithm == .noisePrediction && endsAtZero {
      throw .unsupported(
        "\(config.name): final_sigmas_type: \"zero\" is not supported with algorithm_type"
          + " \"dpmsolver\" (only \"sigma_min\")")
    }
    if lambdaMinimum.isNaN || lambdaMinimum > 0 {
      throw .invalidData(
        "\(config.name): lambda_min_clipped: expected -Infinity to 0, found \(lambdaMinimum)")
    }
  }

  /// Settings that would change the picture and that this solver does not follow.
  private static func refuseUnsupported(_ config: ConfigObject) throws(SparseDiTError) {
    let switches = [
      "thresholding", "use_lu_lambdas", "use_exponential_sigmas", "use_beta_sigmas",
      "use_flow_sigmas", "use_dynamic_shifting",
    ]
    for key in switches { try config.require(key, equals: false) }
    // A deterministic solver has no use for a learned variance: callers drop its channels.
    _ = try config.string(
      "variance_type", oneOf: ["learned", "learned_range"], default: "learned")
  }
}
