import Tensors

extension JSONValue {
  /// The configuration of T5's encoder, read off its weights (T5 1.1's form).
  static func t5(_ shapes: ShapeTable) throws(SparseDiTError) -> JSONValue {
    let embedding =
      shapes.contains("shared.weight") ? "shared.weight" : "encoder.embed_tokens.weight"
    let table = try shapes(embedding, rank: 2)
    let attention = "encoder.block.0.layer.0.SelfAttention"
    let query = try shapes("\(attention).q.weight", rank: 2)
    let bias = try shapes("\(attention).relative_attention_bias.weight", rank: 2)
    let hidden = try shapes("encoder.block.0.layer.1.DenseReluDense.wi_0.weight", rank: 2)
    guard query[0] % bias[1] == 0 else {
      throw .invalidData("\(shapes.name): \(query[0]) channels of \(bias[1]) heads")
    }
    return .object([
      "architectures": .array([.string("T5EncoderModel")]), "d_ff": .integer(hidden[0]),
      "d_kv": .integer(query[0] / bias[1]), "d_model": .integer(table[1]),
      "decoder_start_token_id": .integer(0), "dropout_rate": .number(0.1),
      "eos_token_id": .integer(1), "feed_forward_proj": .string("gated-gelu"),
      "initializer_factor": .number(1), "is_encoder_decoder": .bool(true),
      "layer_norm_epsilon": .number(1e-6), "model_type": .string("t5"),
      "num_heads": .integer(bias[1]), "num_layers": .integer(shapes.count("encoder.block.")),
      "pad_token_id": .integer(0), "relative_attention_max_distance": .integer(128),
      "relative_attention_num_buckets": .integer(bias[0]),
      "tie_word_embeddings": .bool(false), "use_cache": .bool(false),
      "vocab_size": .integer(table[0]),
    ])
  }

  /// The configuration of an autoencoder, read off its decoder.
  ///
  /// - Parameter scalingFactor: of the latents, which weights do not tell.
  static func autoencoder(
    _ shapes: ShapeTable, scalingFactor: Double
  ) throws(SparseDiTError) -> JSONValue {
    let levels = shapes.count("decoder.up_blocks.")
    let input = try shapes("decoder.conv_in.weight", rank: 4)
    var channels: [JSONValue] = []
    for level in 0..<levels {
      let block = "decoder.up_blocks.\(level).resnets.0.conv1.weight"
      channels.insert(.integer(try shapes(block, rank: 4)[0]), at: 0)
    }
    func types(_ name: String) -> JSONValue {
      .array(Array(repeating: .string(name), count: levels))
    }
    return .object([
      "_class_name": .string("AutoencoderKL"),
      "_diffusers_version": .string(ImportPlan.diffusersVersion),
      "act_fn": .string("silu"), "block_out_channels": .array(channels),
      "down_block_types": types("DownEncoderBlock2D"), "in_channels": .integer(3),
      "latent_channels": .integer(input[1]),
      "layers_per_block": .integer(max(shapes.count("decoder.up_blocks.0.resnets.") - 1, 0)),
      "mid_block_add_attention": .bool(
        shapes.contains("decoder.mid_block.attentions.0.group_norm.weight")),
      "norm_num_groups": .integer(32), "out_channels": .integer(3),
      "sample_size": .integer(512), "scaling_factor": .number(scalingFactor),
      "up_block_types": types("UpDecoderBlock2D"),
      "use_post_quant_conv": .bool(shapes.contains("post_quant_conv.weight")),
      "use_quant_conv": .bool(shapes.contains("quant_conv.weight")),
    ])
  }

  /// The scheduler that a family is drawn with where no source has one.
  static func scheduler(_ names: WeightNames) -> JSONValue {
    var members: [String: JSONValue] = [
      "_diffusers_version": .string(ImportPlan.diffusersVersion), "beta_end": .number(0.02),
      "beta_schedule": .string("linear"), "beta_start": .number(0.0001),
      "num_train_timesteps": .integer(1000), "prediction_type": .string("epsilon"),
      "trained_betas": .null,
    ]
    let others: [String: JSONValue] =
      switch names {
      case .originalDiT:
        // What their sampling loop does: the variance that the model learned.
        [
          "_class_name": .string("DDPMScheduler"), "clip_sample": .bool(false),
          "timestep_spacing": .string("linspace"), "variance_type": .string("learned_range"),
        ]
      case .dit:
        [
          "_class_name": .string("DDIMScheduler"), "clip_sample": .bool(false),
          "set_alpha_to_one": .bool(true), "steps_offset": .integer(0),
        ]
      case .pixArt, .originalPixArt, .t5, .autoencoder:
        [
          "_class_name": .string("DPMSolverMultistepScheduler"),
          "algorithm_type": .string("dpmsolver++"), "dynamic_thresholding_ratio": .number(0.995),
          "euler_at_final": .bool(false), "final_sigmas_type": .string("zero"),
          "lower_order_final": .bool(true), "sample_max_value": .number(1),
          "solver_order": .integer(2), "solver_type": .string("midpoint"),
          "steps_offset": .integer(0), "thresholding": .bool(false),
          "timestep_spacing": .string("linspace"), "use_karras_sigmas": .bool(false),
        ]
      }
    members.merge(others) { _, new in new }
    return .object(members)
  }
}
