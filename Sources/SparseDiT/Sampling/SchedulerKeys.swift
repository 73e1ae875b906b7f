import Tensors

/// The keys of a `scheduler_config.json` that are known here.
enum SchedulerKeys {
  /// What the model was trained with, and how its timesteps are spaced.
  static let training: Set = [
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas",
    "rescale_betas_zero_snr", "prediction_type", "timestep_spacing", "steps_offset",
  ]

  /// Settings of single schedulers. diffusers carries them along when a configuration changes its
  /// class, and ignores those that the new class does not have; so does each sampler here.
  private static let others: Set = [
    "algorithm_type", "solver_order", "solver_type", "lower_order_final", "euler_at_final",
    "final_sigmas_type", "use_karras_sigmas", "lambda_min_clipped", "variance_type",
    "thresholding", "dynamic_thresholding_ratio", "sample_max_value", "use_lu_lambdas",
    "use_exponential_sigmas", "use_beta_sigmas", "use_flow_sigmas", "flow_shift",
    "use_dynamic_shifting", "time_shift_type", "clip_sample", "clip_sample_range",
    "set_alpha_to_one", "skip_prk_steps", "interpolation_type", "sigma_min", "sigma_max",
    "timestep_type", "_class_name", "_diffusers_version", "_use_default_values",
  ]

  /// - Throws: `unsupported` naming a key that no scheduler known here has: ignoring it could make
  ///   another picture.
  static func refuseUnknown(_ config: ConfigObject, of kind: SamplerKind) throws(SparseDiTError) {
    for key in config.keys
    where !training.contains(key) && !others.contains(key) && !config.isNull(key) {
      throw .unsupported(
        "\(config.name): \(JSONValue.printable(key)): not a known setting of \(kind.className)")
    }
  }
}
