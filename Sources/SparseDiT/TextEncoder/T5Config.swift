import Tensors

/// The keys of a T5 `config.json` that shape its encoder.
package struct T5Config: Sendable {
  let vocabulary: Int
  /// Width of the residual stream, C.
  let width: Int
  let heads: Int
  let headWidth: Int
  let hidden: Int
  let layers: Int
  let buckets: Int
  let maxDistance: Int
  let epsilon: Float
  /// v1.1's gated tanh-GELU: gelu(wi_0·x) · (wi_1·x).
  static let feedForward = "gated-gelu"

  init(_ config: ConfigObject) throws(SparseDiTError) {
    // Required, since the default of transformers is the older "relu".
    _ = try config.string("feed_forward_proj", oneOf: [Self.feedForward])
    // What transformers derives from that key, and follows.
    try config.require("dense_act_fn", equals: "gelu_new")
    try config.require("is_gated_act", equals: true)
    vocabulary = try config.int("vocab_size", in: 1...(1 << 24))
    width = try config.int("d_model", in: 1...65_536)
    heads = try config.int("num_heads", in: 1...1024)
    headWidth = try config.int("d_kv", in: 1...4096)
    hidden = try config.int("d_ff", in: 1...(1 << 20))
    layers = try config.int("num_layers", in: 1...1000)
    buckets = try config.int("relative_attention_num_buckets", in: 4...4096, default: 32)
    maxDistance = try config.int("relative_attention_max_distance", in: 2...(1 << 20), default: 128)
    epsilon = Float(try config.double("layer_norm_epsilon", in: 0...1, default: 1e-6))
    if buckets % 4 != 0 || maxDistance <= buckets / 4 {
      throw .unsupported(
        "\(config.name): relative_attention_num_buckets \(buckets) with max_distance \(maxDistance)"
      )
    }
  }
}
