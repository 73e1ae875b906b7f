import Testing

@testable import SparseDiT
@testable import Tensors

@Suite("scheduler_config.json")
struct SchedulerConfigTests {
  @Test("PixArt's file is read as it is")
  func pixart() throws {
    let sampler = try makeSampler(
      schedulerConfig(
        """
        {"_class_name": "DPMSolverMultistepScheduler", "_diffusers_version": "0.22.0.dev0",
         "algorithm_type": "dpmsolver++", "beta_end": 0.02, "beta_schedule": "linear",
         "beta_start": 0.0001, "dynamic_thresholding_ratio": 0.995, "euler_at_final": false,
         "lambda_min_clipped": -Infinity, "lower_order_final": true, "num_train_timesteps": 1000,
         "prediction_type": "epsilon", "sample_max_value": 1.0, "solver_order": 2,
         "solver_type": "midpoint", "steps_offset": 0, "thresholding": false,
         "timestep_spacing": "linspace", "trained_betas": null, "use_karras_sigmas": false,
         "use_lu_lambdas": false, "variance_type": null}
        """))
    #expect(sampler.name == "DPM++ 2M")
    let plan = try sampler.plan(steps: 20)
    #expect(plan.timesteps.prefix(3) == [999, 949, 899])
    #expect(plan.initialNoiseScale == 1)
  }

  @Test(
    "what is not supported is refused by key and value",
    arguments: [
      ("_class_name", "\"UniPCMultistepScheduler\""), ("algorithm_type", "\"sde-dpmsolver++\""),
      ("solver_type", "\"rk4\""), ("beta_schedule", "\"sigmoid\""),
      ("prediction_type", "\"flow_prediction\""), ("timestep_spacing", "\"log\""),
      ("final_sigmas_type", "\"one\""), ("thresholding", "true"), ("use_lu_lambdas", "true"),
      ("use_exponential_sigmas", "true"), ("use_beta_sigmas", "true"), ("use_flow_sigmas", "true"),
      ("use_dynamic_shifting", "true"), ("variance_type", "\"fixed_small\""),
      ("a_key_of_tomorrow", "3"),
    ])
  func unsupported(key: String, value: String) throws {
    let message = try refusal("\"\(key)\": \(value)")
    #expect(message.contains("scheduler/scheduler_config.json: \(key)"))
    if key != "a_key_of_tomorrow" { #expect(message.contains(value)) }
  }

  @Test(
    "what is malformed is refused by key",
    arguments: [
      ("solver_order", "4"), ("solver_order", "\"2\""), ("num_train_timesteps", "0"),
      ("num_train_timesteps", "1e9"), ("beta_start", "NaN"), ("beta_end", "\"0.02\""),
      ("lower_order_final", "1"), ("steps_offset", "-1"), ("trained_betas", "[0.1, 0.2]"),
      ("lambda_min_clipped", "NaN"), ("lambda_min_clipped", "3"), ("beta_end", "1.5"),
    ])
  func malformed(key: String, value: String) throws {
    #expect(try refusal("\"\(key)\": \(value)").contains(key))
  }

  @Test("DPM-Solver, which divides by the last σ, cannot end at zero")
  func endsAtZero() throws {
    let message = try refusal(#""algorithm_type": "dpmsolver", "final_sigmas_type": "zero""#)
    #expect(message.contains("final_sigmas_type"))
  }

  @Test("betas that leave neither signal nor noise are refused")
  func degenerateBetas() throws {
    #expect(try refusal(#""beta_start": 0, "beta_end": 0"#).contains("betas"))
    #expect(try refusal(#""beta_start": 1, "beta_end": 1"#).contains("betas"))
  }

  @Test(
    "what another sampler does not support is refused by key and value",
    arguments: [
      ("DDPMScheduler", "variance_type", "\"learned\""),
      ("DDPMScheduler", "variance_type", "\"fixed_large_log\""),
      ("DDPMScheduler", "thresholding", "true"), ("DDPMScheduler", "clip_sample_range", "-1"),
      ("DDPMScheduler", "rescale_betas_zero_snr", "true"),
      ("DDIMScheduler", "thresholding", "true"), ("DDIMScheduler", "set_alpha_to_one", "1"),
      ("DDIMScheduler", "steps_offset", "-1"), ("DDIMScheduler", "another_key", "true"),
      ("EulerDiscreteScheduler", "interpolation_type", "\"log_linear\""),
      ("EulerDiscreteScheduler", "timestep_type", "\"continuous\""),
      ("EulerDiscreteScheduler", "sigma_max", "80"), ("EulerDiscreteScheduler", "sigma_min", "0.1"),
      ("EulerDiscreteScheduler", "use_beta_sigmas", "true"),
      ("EulerDiscreteScheduler", "use_exponential_sigmas", "true"),
      ("EulerDiscreteScheduler", "final_sigmas_type", "\"one\""),
    ])
  func unsupported(name: String, key: String, value: String) throws {
    let message = try refusal(#""_class_name": "\#(name)", "\#(key)": \#(value)"#)
    #expect(message.contains("scheduler/scheduler_config.json: \(key)"))
    if key != "another_key" { #expect(message.contains(value)) }
  }

  @Test("a picked sampler keeps what the folder says of training and spacing")
  func picked() throws {
    let shared = """
      "beta_schedule": "scaled_linear", "beta_start": 0.001, "beta_end": 0.01,
      "num_train_timesteps": 100, "prediction_type": "v_prediction",
      "timestep_spacing": "trailing", "steps_offset": 0
      """
    let folder = try schedulerConfig(
      """
      {"_class_name": "DPMSolverMultistepScheduler", "solver_order": 3,
       "final_sigmas_type": "sigma_min", \(shared)}
      """)
    for kind in SamplerKind.allCases where kind != .dpmSolverMultistep {
      let own = try makeSampler(
        schedulerConfig(
          #"{"_class_name": "\#(kind.className)", "clip_sample": false, \#(shared)}"#),
        eta: kind == .ddim ? 0.5 : 0)
      let other = try makeSampler(
        folder, kind: kind, eta: kind == .ddim ? 0.5 : 0, predictsVariance: false)
      #expect(try own.plan(steps: 7) == other.plan(steps: 7))
      var samples: [[Float]] = []
      for sampler in [own, other] {
        var run = sampler.start(
          try sampler.plan(steps: 7), generator: TorchGenerator(seed: 1))
        var sample: [Float] = [0.5, -3, 2]
        for _ in 0..<7 { try step(&run, [0.2, 0.5, -4], &sample) }
        samples.append(sample)
      }
      #expect(samples[0] == samples[1], "\(kind)")
    }
    // The folder's own kind is read as it stands.
    #expect(try makeSampler(folder, kind: .dpmSolverMultistep).name == "DPM++ 3M")
    let euler = try schedulerConfig(#"{"_class_name": "EulerDiscreteScheduler", \#(shared)}"#)
    #expect(try makeSampler(euler, kind: .dpmSolverMultistep).name == "DPM++ 2M")
  }

  @Test("a learned variance needs a model that predicts one, and is used by DDPM where it does")
  func learnedVariance() throws {
    let ddpm = try schedulerConfig(
      #"{"_class_name": "DDPMScheduler", "variance_type": "learned_range"}"#)
    #expect(try makeSampler(ddpm).usesLearnedVariance)
    let error = #expect(throws: SparseDiTError.self) {
      try makeSampler(ddpm, predictsVariance: false)
    }
    #expect(error?.description.contains("learned_range") == true)
    let other = try schedulerConfig(#"{"_class_name": "DDIMScheduler"}"#)
    #expect(try makeSampler(other, kind: .ddpm).usesLearnedVariance)
    #expect(try !makeSampler(other, kind: .ddpm, predictsVariance: false).usesLearnedVariance)
    #expect(try !makeSampler(other, kind: .ddim).usesLearnedVariance)
  }

  @Test("η is for DDIM, from 0 to 1")
  func eta() throws {
    let config = try schedulerConfig(#"{"_class_name": "DDIMScheduler"}"#)
    for eta in [-0.1, 1.1, .nan] {
      #expect(throws: SparseDiTError.self) { try makeSampler(config, eta: eta) }
    }
    for kind in SamplerKind.allCases where kind != .ddim {
      let error = #expect(throws: SparseDiTError.self) {
        try makeSampler(config, kind: kind, eta: 0.5)
      }
      #expect(error?.description.contains("eta 0.5") == true)
    }
  }

  @Test("a missing class name is named")
  func missingClass() throws {
    let error = #expect(throws: SparseDiTError.self) { try makeSampler(schedulerConfig("{}")) }
    #expect(error?.description.contains("_class_name") == true)
  }

  /// The message with which a config of these members, by default of PixArt's class, is refused.
  private func refusal(_ members: String) throws -> String {
    let prefix =
      members.contains("_class_name") ? "" : #""_class_name": "DPMSolverMultistepScheduler", "#
    let config = try schedulerConfig("{\(prefix)\(members)}")
    let error = #expect(throws: SparseDiTError.self) { try makeSampler(config) }
    return error?.description ?? ""
  }
}
