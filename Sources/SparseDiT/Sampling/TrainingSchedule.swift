import Glibc
import Tensors

/// How much signal is left at each training timestep: ᾱ of the variance-preserving diffusion.
///
/// Computed in f32 and in the order of diffusers' schedulers. The last bits hardly change a picture, but
/// they would show in a comparison with diffusers.
struct TrainingSchedule: Sendable {
  /// ᾱ at timestep 0 (least noise) … count − 1.
  let alphasCumulative: [Float]

  var count: Int { alphasCumulative.count }

  /// Noise to signal ratio σ/α at each timestep.
  var sigmas: [Float] {
    alphasCumulative.map { ((1 - $0) / $0).squareRoot() }
  }

  /// Half the logarithm of the signal to noise ratio, ln α − ln σ, at each timestep.
  var lambdas: [Float] {
    alphasCumulative.map {
      naturalLogarithm($0.squareRoot()) - naturalLogarithm((1 - $0).squareRoot())
    }
  }

  /// Reads `num_train_timesteps`, `beta_start`, `beta_end`, `beta_schedule`, `trained_betas` and
  /// `rescale_betas_zero_snr`; what is missing has diffusers' default.
  ///
  /// - Parameter allowsPureNoise: whether ᾱ may be 0 at the last timestep. A sampler that divides by
  ///   it gets f16's least number there, as in diffusers.
  init(_ config: ConfigObject, allowsPureNoise: Bool = false) throws(SparseDiTError) {
    let count = try Self.timesteps(config)
    let start = try config.double("beta_start", in: 0...1, default: 0.0001)
    let end = try config.double("beta_end", in: 0...1, default: 0.02)
    let kind = try config.string(
      "beta_schedule", oneOf: ["linear", "scaled_linear", "squaredcos_cap_v2"], default: "linear")
    var betas: [Float]
    if config.isNull("trained_betas") {
      betas = Self.betas(kind, start: start, end: end, count: count)
    } else {
      betas = try config.doubles("trained_betas", in: 0...1, count: count...count).map(Float.init)
    }
    let zeroTerminal = try config.bool("rescale_betas_zero_snr", default: false)
    if zeroTerminal { betas = Self.rescaledToZeroTerminalSNR(betas) }
    var alphas = Self.cumulativeProduct(betas.map { 1 - $0 })
    if zeroTerminal && !allowsPureNoise { alphas[count - 1] = 0x1p-24 }
    let isUsable = alphas.dropLast().allSatisfy { $0 > 0 && $0 < 1 }
    let last = alphas[count - 1]
    guard isUsable, last < 1, last > 0 || (last == 0 && zeroTerminal && allowsPureNoise) else {
      throw .invalidData("\(config.name): the betas leave no signal or no noise at some timestep")
    }
    alphasCumulative = alphas
  }

  /// T of a model whose configuration does not say.
  static let usualTimesteps = 1000

  /// T, the number of training timesteps.
  static func timesteps(_ config: ConfigObject) throws(SparseDiTError) -> Int {
    try config.int("num_train_timesteps", in: 2...100_000, default: usualTimesteps)
  }

  private static func betas(_ kind: String, start: Double, end: Double, count: Int) -> [Float] {
    switch kind {
    case "squaredcos_cap_v2":
      func alphaBar(_ time: Double) -> Double {
        let cosine = cos((time + 0.008) / 1.008 * Double.pi / 2)
        return cosine * cosine
      }
      let total = Double(count)
      return (0..<count).map { index in
        Float(min(1 - alphaBar(Double(index + 1) / total) / alphaBar(Double(index) / total), 0.999))
      }
    case "scaled_linear":
      let roots = linearSpace(Float(start.squareRoot()), Float(end.squareRoot()), count: count)
      return roots.map { $0 * $0 }
    default:
      return linearSpace(Float(start), Float(end), count: count)
    }
  }

  /// `torch.linspace` in f32: counted from whichever end is nearer, one rounding per value.
  private static func linearSpace(_ start: Float, _ end: Float, count: Int) -> [Float] {
    let step = (end - start) / Float(count - 1)
    return (0..<count).map { index in
      index < count / 2
        ? start.addingProduct(step, Float(index))
        : end.addingProduct(-step, Float(count - 1 - index))
    }
  }

  /// `torch.cumprod` of f32 values, which multiplies in double precision.
  private static func cumulativeProduct(_ values: [Float]) -> [Float] {
    var product = 1.0
    return values.map { value in
      product *= Double(value)
      return Float(product)
    }
  }

  /// Stretches √ᾱ so that the last timestep is pure noise (Lin et al., arXiv 2305.08891, algorithm 1).
  private static func rescaledToZeroTerminalSNR(_ betas: [Float]) -> [Float] {
    let roots = cumulativeProduct(betas.map { 1 - $0 }).map { $0.squareRoot() }
    let last = roots[roots.count - 1]
    let scale = roots[0] / (roots[0] - last)
    let products = roots.map { ($0 - last) * scale }.map { $0 * $0 }
    return products.indices.map { index in
      index == 0 ? 1 - products[0] : 1 - products[index] / products[index - 1]
    }
  }
}

/// ln of an f32 value, correctly rounded as torch's is; glibc's `logf` is not always.
func naturalLogarithm(_ value: Float) -> Float {
  Float(log(Double(value)))
}
