import Tensors

/// What a model predicts of a sample x = αx₀ + σε: the noise ε, the data x₀, or the velocity
/// v = αε − σx₀.
enum Prediction: String, CaseIterable, Sendable {
  case epsilon, sample
  case velocity = "v_prediction"

  /// From `prediction_type`.
  init(_ config: ConfigObject) throws(SparseDiTError) {
    let name = try config.string(
      "prediction_type", oneOf: Self.allCases.map(\.rawValue), default: "epsilon")
    self = Self(rawValue: name) ?? .epsilon
  }

  /// x₀, from a value of the model's output and of the sample.
  func data(_ output: Float, _ sample: Float, alpha: Float, sigma: Float) -> Float {
    switch self {
    case .epsilon: (sample - sigma * output) / alpha
    case .sample: output
    case .velocity: alpha * sample - sigma * output
    }
  }

  /// ε, likewise.
  func noise(_ output: Float, _ sample: Float, alpha: Float, sigma: Float) -> Float {
    switch self {
    case .epsilon: output
    case .sample: (sample - alpha * output) / sigma
    case .velocity: alpha * output + sigma * sample
    }
  }
}
