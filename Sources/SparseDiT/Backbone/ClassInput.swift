import Tensors

/// A class label, whose embedding joins the timestep's.
package struct ClassInput: Sendable, Hashable {
  /// Labels are 0 ..< count; `count` itself, the last row of the table, stands for no class.
  package let count: Int
  /// What is taken from the number of waves in the timestep's frequencies, see ``SinusoidalEmbedding``.
  let frequencyShift: Int

  init(_ config: ConfigObject, _ family: BackboneFamily, isOlder: Bool) throws(SparseDiTError) {
    try config.requireNull("caption_channels")
    try config.requireNull("cross_attention_dim")
    try config.require("interpolation_scale", equals: 1.0)
    let (key, range) = ("num_embeds_ada_norm", 1...1_000_000)
    count =
      isOlder ? try config.int(key, in: range) : try config.int(key, in: range, default: 1000)
    // diffusers spaces the frequencies so that the last one is 1/10000; the authors do not.
    frequencyShift = family == .dit ? 1 : 0
  }
}
