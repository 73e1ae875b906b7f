import Tensors

/// The samplers that a caller can pick in place of the one that the model's folder names.
public enum SamplerKind: String, CaseIterable, Sendable, Hashable {
  /// ``DDPM``: stochastic, for many steps.
  case ddpm
  /// ``DDIM``: deterministic, or stochastic to the share η.
  case ddim
  /// ``DPMSolverMultistep`` of order 2: deterministic, for few steps.
  case dpmSolverMultistep = "dpm++2m"
  /// ``Euler``: deterministic.
  case euler

  /// The class in diffusers, which a `scheduler_config.json` names.
  var className: String {
    switch self {
    case .ddpm: "DDPMScheduler"
    case .ddim: "DDIMScheduler"
    case .dpmSolverMultistep: "DPMSolverMultistepScheduler"
    case .euler: "EulerDiscreteScheduler"
    }
  }

  /// - Throws: `unsupported` for a class that is not here.
  init(_ config: ConfigObject) throws(SparseDiTError) {
    let name = try config.string("_class_name", oneOf: Self.allCases.map(\.className))
    self = Self.allCases.first { $0.className == name } ?? .dpmSolverMultistep
  }

  /// A folder's `scheduler_config.json` as of the class that `model_index.json` names: like diffusers,
  /// which makes one of that class, whatever class the settings were saved from.
  ///
  /// - Throws: `unsupported` naming the key of either file for a class that is not here.
  static func config(
    _ folder: ModelFolder, _ index: ConfigObject
  ) throws(SparseDiTError) -> ConfigObject {
    let config = try folder.config("scheduler/scheduler_config.json")
    guard index.contains("scheduler") else { return config }
    let name = try index.strings("scheduler", count: 2...2)[1]
    guard allCases.contains(where: { $0.className == name }) else {
      let known = allCases.map(\.className).joined(separator: ", ")
      throw .unsupported("\(index.name): scheduler: \(name) is not supported (only \(known))")
    }
    return config.setting("_class_name", to: .string(name))
  }

  /// Settings that this sampler takes over from a configuration written for another one: what the
  /// model was trained with, and how its timesteps are spaced. The solver's own have their defaults.
  fileprivate var inheritedKeys: Set<String> {
    let own: Set<String> =
      switch self {
      case .ddpm: ["variance_type", "clip_sample", "clip_sample_range", "thresholding"]
      case .ddim: ["set_alpha_to_one", "clip_sample", "clip_sample_range", "thresholding"]
      case .dpmSolverMultistep, .euler: []
      }
    return own.union(SchedulerKeys.training)
  }
}

extension SamplerKind? {
  /// Nil is a sampler that is not known, which has no η.
  ///
  /// - Throws: `invalidArgument` for an η out of range, or not 0 where there is no such setting.
  func check(eta: Double) throws(SparseDiTError) {
    // Written so that NaN fails too.
    guard eta >= 0, eta <= 1 else { throw .invalidArgument("eta \(eta) is not in 0 to 1") }
    guard eta == 0 || self == .ddim else {
      throw .invalidArgument("eta \(eta): only the ddim sampler has this setting")
    }
  }
}

/// The sampler that a `scheduler_config.json` names in `_class_name`, or the one picked in its place.
///
/// A picked sampler does not clip x₀ unless the configuration says so, since latents are not bounded
/// by 1; and ``DDPM`` uses the model's variance where there is one.
///
/// - Parameters:
///   - kind: nil is the one that the configuration names.
///   - eta: noise that ``DDIM`` adds, 0 … 1; the others have no such setting and take 0.
///   - predictsVariance: whether the model's output has a variance.
/// - Throws: `unsupported` for a class that is not here, `invalidArgument` for an η that makes no
///   sense, and what that sampler's reader throws.
package func makeSampler(
  _ config: ConfigObject, kind: SamplerKind? = nil, eta: Double = 0, predictsVariance: Bool = true
) throws(SparseDiTError) -> any Sampler {
  let saved = try SamplerKind(config)
  let kind = kind ?? saved
  try Optional(kind).check(eta: eta)
  let isPicked = kind != saved
  let config = isPicked ? config.keeping(kind.inheritedKeys) : config
  let sampler: any Sampler
  switch kind {
  case .ddpm:
    let variance: DDPM.Variance = isPicked && predictsVariance ? .learnedRange : .fixedSmall
    sampler = try DDPM(config: config, clips: !isPicked, variance: variance)
  case .ddim: sampler = try DDIM(config: config, eta: eta, clips: !isPicked)
  case .dpmSolverMultistep: sampler = try DPMSolverMultistep(config: config)
  case .euler: sampler = try Euler(config: config)
  }
  guard predictsVariance || !sampler.usesLearnedVariance else {
    throw .unsupported(
      "\(config.name): variance_type: \"learned_range\" needs a model that predicts a variance")
  }
  return sampler
}
