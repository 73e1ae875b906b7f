import Tensors

/// The configuration of a transformer that came without one, read off its weights.
struct TransformerConfigs {
  let shapes: ShapeTable
  let options: ImportOptions

  /// Heads of DiT-S, B, L and XL by their width.
  private static let knownHeads = [384: 6, 768: 12, 1024: 16, 1152: 16]

  /// Pixels that a latent stands for, a side, in every autoencoder of these models.
  static let latentScale = 8

  // MARK: PixArt

  /// For diffusers' `PixArtTransformer2DModel`.
  /// - Parameter sampleSize: latents a side of the pictures of its training.
  func pixArt(
    sampleSize: Int, _ generation: ImportOptions.Generation
  ) throws(SparseDiTError) -> JSONValue {
    let patches = try shapes("pos_embed.proj.weight", rank: 4)
    let (width, patch) = (patches[0], patches[3])
    let heads = try heads(width)
    let outputs = try shapes("proj_out.bias", rank: 1)[0]
    var members = common(width: width, heads: heads)
    members["_class_name"] = .string("PixArtTransformer2DModel")
    members["norm_type"] = .string("ada_norm_single")
    members["caption_channels"] = .integer(
      try shapes("caption_projection.linear_1.weight", rank: 2)[1])
    members["cross_attention_dim"] = .integer(width)
    members["in_channels"] = .integer(patches[1])
    members["out_channels"] = .integer(outputs / (patch * patch))
    members["num_layers"] = .integer(shapes.count("transformer_blocks."))
    members["patch_size"] = .integer(patch)
    members["sample_size"] = .integer(sampleSize)
    members["interpolation_scale"] = Self.interpolationScale(sampleSize, generation)
    members["use_additional_conditions"] = .bool(
      shapes.contains("adaln_single.emb.resolution_embedder.linear_1.weight"))
    return .object(members)
  }

  /// How far positions are drawn together: by the pictures' side over 512 pixels, which in the first
  /// generation nothing went below.
  private static func interpolationScale(
    _ sampleSize: Int, _ generation: ImportOptions.Generation
  ) -> JSONValue {
    if generation == .alpha || sampleSize % 64 == 0 { return .integer(max(sampleSize / 64, 1)) }
    return .number(Double(sampleSize) / 64)
  }

  // MARK: DiT

  /// For diffusers' `DiTTransformer2DModel`.
  func dit(sampleSize: Int) throws(SparseDiTError) -> JSONValue {
    let patches = try shapes("pos_embed.proj.weight", rank: 4)
    let (width, patch) = (patches[0], patches[3])
    let table = "transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight"
    var members = common(width: width, heads: try heads(width))
    members["_class_name"] = .string("DiTTransformer2DModel")
    members["norm_type"] = .string("ada_norm_zero")
    // The epsilon that DiT was trained with, which this class takes for its second norm alone.
    members["norm_eps"] = .number(1e-5)
    members["in_channels"] = .integer(patches[1])
    members["out_channels"] = .integer(try shapes("proj_out_2.bias", rank: 1)[0] / (patch * patch))
    members["num_layers"] = .integer(shapes.count("transformer_blocks."))
    members["patch_size"] = .integer(patch)
    members["sample_size"] = .integer(sampleSize)
    members["num_embeds_ada_norm"] = .integer(try shapes(table, rank: 2)[0] - 1)
    return .object(members)
  }

  /// For the class `DiT` of DiT's and SparseDiT's authors, which keeps their names and arithmetic.
  func originalDiT(sampleSize: Int) throws(SparseDiTError) -> JSONValue {
    let patches = try shapes("x_embedder.proj.weight", rank: 4)
    let (width, patch) = (patches[0], patches[3])
    let heads = try heads(width)
    let layout = try layout()
    var depth = shapes.count("blocks.")
    var members: [String: JSONValue] = [
      "_class_name": .string("DiT"), "norm_eps": .number(1e-6),
      "num_attention_heads": .integer(heads), "attention_head_dim": .integer(width / heads),
      "in_channels": .integer(patches[1]),
      "out_channels": .integer(
        try shapes("final_layer.linear.bias", rank: 1)[0] / (patch * patch)),
      "patch_size": .integer(patch), "sample_size": .integer(sampleSize),
      "num_embeds_ada_norm": .integer(
        try shapes("y_embedder.embedding_table.weight", rank: 2)[0] - 1),
    ]
    if let layout {
      depth = layout.depth
      members["sparsity"] = try sparsity(layout, side: sampleSize / patch)
    }
    members["num_layers"] = .integer(depth)
    return .object(members)
  }

  /// How SparseDiT's blocks are divided; nil for DiT's, which are all alike.
  private func layout() throws(SparseDiTError) -> BlockLayout? {
    let modules = shapes.count("dumbbell_blocks.")
    if modules == 0 { return nil }
    var found: Set<[Int]> = []
    for index in 0..<modules {
      found.insert(
        ["token_merge_blocks", "semantic_blocks", "token_recover_blocks", "normal_blocks"]
          .map { shapes.count("dumbbell_blocks.\(index).\($0).") })
    }
    guard found.count == 1, let module = found.first, module[0] == 1, module[2] == 1 else {
      throw .unsupported(
        "\(shapes.name): modules of blocks \(found.sorted { $0.lexicographicallyPrecedes($1) }):"
          + " must all be the same [1, sparse, 1, dense]")
    }
    return BlockLayout(
      poolingformer: shapes.count("poolingformer_blocks."), modules: modules,
      module: SparseDenseTokenModule(sparse: module[1], dense: module[3]),
      top: shapes.count("normal_blocks."))
  }

  /// One rate throughout, since the authors' code has no part that follows the timestep.
  private func sparsity(_ layout: BlockLayout, side: Int) throws(SparseDiTError) -> JSONValue {
    let grid = options.sparseGrid
    guard grid <= side else {
      throw .invalidArgument("sparse grid \(grid) is larger than the \(side) tokens a side")
    }
    let share = Double(grid) / Double(side)
    let rate = JSONValue.number(1 - share * share)
    return .object([
      "poolingformer": .integer(layout.poolingformer), "modules": .integer(layout.modules),
      "module_layout": .array(
        [1, layout.module.sparse, 1, layout.module.dense].map { .integer($0) }),
      "top": .integer(layout.top), "rates": .array([rate, rate]),
      "schedule": .string("constant"),
    ])
  }

  // MARK: What weights do not tell

  private func heads(_ width: Int) throws(SparseDiTError) -> Int {
    guard let heads = options.heads ?? Self.knownHeads[width], width % heads == 0 else {
      throw .invalidArgument(
        "\(shapes.name): its width \(width) does not tell the number of heads: give it (a divisor)")
    }
    return heads
  }

  /// Latents a side of the pictures that it was trained on: as the option says, or as many as the
  /// position table has, or as the file is called (`…-512x512…`, `…-1024-MS…`, `…-2K-MS…`).
  ///
  /// - Parameter positions: the table's tensor, where the weights have it.
  func sampleSize(positions: Shape?, patch: Int) throws(SparseDiTError) -> Int {
    if let size = options.size { return size / Self.latentScale }
    if let positions, positions.rank >= 2 {
      let tokens = positions[positions.rank - 2]
      let side = Int(Double(tokens).squareRoot().rounded())
      guard side > 0, side * side == tokens else {
        throw .unsupported(
          "\(shapes.name): a position table of \(tokens) tokens, which are no square")
      }
      return side * patch
    }
    let file = shapes.name.split(separator: "/").last ?? ""
    let sizes = ["256": 256, "512": 512, "1024": 1024, "1K": 1024, "2K": 2048, "2048": 2048]
    let words = file.uppercased().split { !$0.isASCII || (!$0.isNumber && $0 != "K") }
    let named = Set(words.compactMap { sizes[String($0)] })
    guard named.count == 1, let size = named.first else {
      throw .invalidArgument(
        "\(shapes.name): does not tell the size of the pictures it was trained on: give it"
          + " (such as 512)")
    }
    return size / Self.latentScale
  }

  private func common(width: Int, heads: Int) -> [String: JSONValue] {
    [
      "_diffusers_version": .string(ImportPlan.diffusersVersion),
      "activation_fn": .string("gelu-approximate"), "attention_bias": .bool(true),
      "attention_head_dim": .integer(width / heads), "attention_type": .string("default"),
      "dropout": .number(0), "norm_elementwise_affine": .bool(false), "norm_eps": .number(1e-6),
      "norm_num_groups": .integer(32), "num_attention_heads": .integer(heads),
      "num_embeds_ada_norm": .integer(1000), "upcast_attention": .bool(false),
    ]
  }
}
