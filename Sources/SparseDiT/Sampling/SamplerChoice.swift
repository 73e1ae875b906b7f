import Tensors

/// The sampler that a `scheduler_config.json` names in `_class_name`.
///
/// - Throws: `unsupported` for a class that is not here, and what that sampler's reader throws.
package func makeSampler(_ config: ConfigObject) throws(SparseDiTError) -> any Sampler {
  _ = try config.string("_class_name", oneOf: ["DPMSolverMultistepScheduler"])
  return try DPMSolverMultistep(config: config)
}
