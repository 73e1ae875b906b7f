import Tensors

/// Transformers of PixArt's authors under the names of diffusers.
///
/// Sources: PixArt-alpha/PixArt-alpha and PixArt-alpha/PixArt-sigma, whose names are DiT's. Query, key
/// and value lie in one matrix there, and so do key and value of the cross-attention.
enum OriginalPixArtNames {
  /// Rows of the tokens that stand for no caption, `y_embedder.y_embedding`: as many as a prompt has.
  static let noCaption = "y_embedder.y_embedding"
  /// The position table, which is computed.
  static let positions = "pos_embed"

  /// The tensors as diffusers' `PixArtTransformer2DModel` has them.
  ///
  /// - Throws: `unsupported` for a tensor that such a transformer does not have; `invalidData` where
  ///   a matrix has no equal parts.
  static func renamed(_ tensors: [SourceTensor]) throws(SparseDiTError) -> [SourceTensor] {
    var result: [SourceTensor] = []
    for tensor in tensors where tensor.name != noCaption && tensor.name != positions {
      let names = try renamed(tensor)
      for (index, name) in names.enumerated() {
        var part = try tensor.part(index, of: names.count)
        part.name = name
        result.append(part)
      }
    }
    return result
  }

  /// The names of the equal parts of a tensor.
  private static func renamed(_ tensor: SourceTensor) throws(SparseDiTError) -> [String] {
    if tensor.name == "final_layer.scale_shift_table" { return ["scale_shift_table"] }
    if let (module, kind) = split(tensor.name) {
      if let name = outside[module] { return ["\(name).\(kind)"] }
      let parts = module.split(separator: ".", maxSplits: 2)
      if parts.count == 3, parts[0] == "blocks", let depth = Int(parts[1]),
        let names = inBlocks[String(parts[2])]
      {
        return names.map { "transformer_blocks.\(depth).\($0).\(kind)" }
      }
    }
    let parts = tensor.name.split(separator: ".")
    if parts.count == 3, parts[0] == "blocks", let depth = Int(parts[1]),
      parts[2] == "scale_shift_table"
    {
      return ["transformer_blocks.\(depth).scale_shift_table"]
    }
    let reason =
      if tensor.name.contains(".attn.sr.") || tensor.name.contains(".attn.norm.") {
        "compression of keys and values"
      } else if tensor.name.contains("_norm.") {
        "norms of queries and keys"
      } else {
        "it"
      }
    throw .unsupported("\(tensor.place): a PixArt transformer with \(reason) is not supported")
  }

  /// The name of a layer, and `weight` or `bias`.
  private static func split(_ name: String) -> (module: String, kind: Substring)? {
    guard let dot = name.lastIndex(of: ".") else { return nil }
    let kind = name[name.index(after: dot)...]
    return kind == "weight" || kind == "bias" ? (String(name[..<dot]), kind) : nil
  }

  private static let outside = [
    "x_embedder.proj": "pos_embed.proj",
    "y_embedder.y_proj.fc1": "caption_projection.linear_1",
    "y_embedder.y_proj.fc2": "caption_projection.linear_2",
    "t_embedder.mlp.0": "adaln_single.emb.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "adaln_single.emb.timestep_embedder.linear_2",
    "csize_embedder.mlp.0": "adaln_single.emb.resolution_embedder.linear_1",
    "csize_embedder.mlp.2": "adaln_single.emb.resolution_embedder.linear_2",
    "ar_embedder.mlp.0": "adaln_single.emb.aspect_ratio_embedder.linear_1",
    "ar_embedder.mlp.2": "adaln_single.emb.aspect_ratio_embedder.linear_2",
    "t_block.1": "adaln_single.linear",
    "final_layer.linear": "proj_out",
  ]

  private static let inBlocks = [
    "attn.qkv": ["attn1.to_q", "attn1.to_k", "attn1.to_v"],
    "attn.proj": ["attn1.to_out.0"],
    "cross_attn.q_linear": ["attn2.to_q"],
    "cross_attn.kv_linear": ["attn2.to_k", "attn2.to_v"],
    "cross_attn.proj": ["attn2.to_out.0"],
    "mlp.fc1": ["ff.net.0.proj"],
    "mlp.fc2": ["ff.net.2"],
  ]
}

extension [SourceTensor] {
  /// These tensors without what the engine never reads: tables that are computed, the second name of
  /// T5's embedding, T5's decoder.
  func withoutUnused(_ names: WeightNames) -> [SourceTensor] {
    let hasShared = contains { $0.name == "shared.weight" }
    return filter { tensor in
      switch names {
      case .pixArt, .dit:
        !["pos_embed.pos_embed", "caption_projection.y_embedding"].contains(tensor.name)
      case .t5:
        !tensor.name.hasPrefix("decoder.") && tensor.name != "lm_head.weight"
          && !(hasShared && tensor.name == "encoder.embed_tokens.weight")
      case .originalPixArt, .originalDiT, .autoencoder: true
      }
    }
  }
}
