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
      ("_class_name", "\"EulerDiscreteScheduler\""), ("algorithm_type", "\"sde-dpmsolver++\""),
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

  @Test("a missing class name is named")
  func missingClass() throws {
    let error = #expect(throws: SparseDiTError.self) { try makeSampler(schedulerConfig("{}")) }
    #expect(error?.description.contains("_class_name") == true)
  }

  /// The message with which a config of PixArt's class and these members is refused.
  private func refusal(_ members: String) throws -> String {
    let prefix =
      members.contains("_class_name") ? "" : #""_class_name": "DPMSolverMultistepScheduler", "#
    let config = try schedulerConfig("{\(prefix)\(members)}")
    let error = #expect(throws: SparseDiTError.self) { try makeSampler(config) }
    return error?.description ?? ""
  }
}
