import Tensors

/// The weight names of DiT's and SparseDiT's authors, by those of the engine, which are diffusers'.
///
/// Sources: facebookresearch/DiT (dense: `blocks.i`) and changsn/SparseDiT (the segments' own lists).
/// Both keep query, key and value, or key and value, in one matrix.
enum AuthorWeightNames {
  /// Where each weight of the backbone lies.
  static func table(_ config: BackboneConfig) -> [String: StoredPart] {
    var table: [String: StoredPart] = [:]
    func add(_ name: String, _ original: String, part: Int = 0, of count: Int = 1) {
      for kind in ["weight", "bias"] {
        table["\(name).\(kind)"] = StoredPart("\(original).\(kind)", part: part, of: count)
      }
    }
    add("pos_embed.proj", "x_embedder.proj")
    add("proj_out_1", "final_layer.adaLN_modulation.1")
    add("proj_out_2", "final_layer.linear")
    let roles = config.sparsity?.layout.roles
    let originals = config.sparsity.map { blocks(of: $0.layout) }
    for depth in 0..<config.depth {
      let block = BlockBody.name(depth)
      let original = originals?[depth] ?? "blocks.\(depth)"
      for (own, stored, part, count) in attention(roles?[depth] ?? .dense) {
        add("\(block).attn1.\(own)", "\(original).attn.\(stored)", part: part, of: count)
      }
      for (own, stored) in others { add("\(block).\(own)", "\(original).\(stored)") }
      // One embedding for all blocks.
      let embedding = TimestepLabelEmbedding.name(depth)
      add("\(embedding).timestep_embedder.linear_1", "t_embedder.mlp.0")
      add("\(embedding).timestep_embedder.linear_2", "t_embedder.mlp.2")
      add("\(embedding).class_embedder.embedding_table", "y_embedder.embedding_table")
    }
    return table
  }

  /// The name of each block, bottom first.
  private static func blocks(of layout: BlockLayout) -> [String] {
    let bottom = (0..<layout.poolingformer).map { "poolingformer_blocks.\($0)" }
    let modules = (0..<layout.modules).flatMap { index in
      let lists = [
        ("token_merge_blocks", 1), ("semantic_blocks", layout.module.sparse),
        ("token_recover_blocks", 1), ("normal_blocks", layout.module.dense),
      ]
      return lists.flatMap { list, count in
        (0..<count).map { "dumbbell_blocks.\(index).\(list).\($0)" }
      }
    }
    return bottom + modules + (0..<layout.top).map { "normal_blocks.\($0)" }
  }

  /// The projections of an attention: the engine's name, the stored one, and which part of it.
  private static func attention(_ role: BlockRole) -> [(String, String, Int, Int)] {
    switch role {
    case .poolingformer: [("to_v", "v", 0, 1)]
    case .dense, .sparse: [("to_q", "qkv", 0, 3), ("to_k", "qkv", 1, 3), ("to_v", "qkv", 2, 3)]
    case .generation, .recovery: [("to_q", "q", 0, 1), ("to_k", "kv", 0, 2), ("to_v", "kv", 1, 2)]
    }
  }

  private static let others = [
    ("attn1.to_out.0", "attn.proj"), ("ff.net.0.proj", "mlp.fc1"), ("ff.net.2", "mlp.fc2"),
    ("norm1.linear", "adaLN_modulation.1"), ("merge_sparse", "merged_layer1"),
    ("merge_dense", "merged_layer2"),
  ]

  /// Checks the position table that these checkpoints carry along against the one that is computed
  /// here: another one would be another model.
  ///
  /// - Throws: `invalidData` for a table of another size, `unsupported` for one of other values.
  static func checkPositions(
    _ reader: WeightReader, _ config: BackboneConfig
  ) throws(SparseDiTError) {
    let name = "pos_embed"
    guard reader.contains(name) else { return }
    let side = config.sampleSize / config.patch
    let stored = try reader.constant(name, [1, side * side, config.width])
    let computed = try positionTable(
      of: Grid(height: side, width: side), width: config.width, base: side, interpolationScale: 1)
    // Far above the rounding of f16 and bf16, far below what another table differs by.
    let tolerance: Float = 0.01
    guard zip(stored.floats(), computed.floats()).allSatisfy({ abs($0 - $1) <= tolerance }) else {
      throw .unsupported(
        "\(reader.name): tensor \"\(name)\" is not the sin-cos position table of DiT")
    }
  }
}
