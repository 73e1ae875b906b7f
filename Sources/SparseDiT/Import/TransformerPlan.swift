import Tensors

/// The transformer of an import: its tensors under the names that are written, its configuration, and
/// what it is.
struct TransformerPlan {
  let tensors: [SourceTensor]
  let config: ImportPlan.Content
  /// The class that the configuration names.
  let className: String
  /// Nil for a transformer that draws classes.
  let generation: ImportOptions.Generation?

  init(
    _ source: ImportSources.Weights, _ sources: ImportSources, _ options: ImportOptions
  ) throws(SparseDiTError) {
    let all = source.tensors
    let before = ShapeTable(all, name: source.origin)
    tensors =
      source.names == .originalPixArt
      ? try OriginalPixArtNames.renamed(all) : all.withoutUnused(source.names)
    let own = try source.ownConfig()
    generation =
      source.names.conditioning == .text
      ? try Self.generation(source, own, before, sources, options) : nil
    if let own, let file = source.config {
      config = .copy(file)
      className = try own.string("_class_name", default: "PixArtTransformer2DModel")
      return
    }
    let configs = TransformerConfigs(
      shapes: ShapeTable(tensors, name: source.origin), options: options)
    let made: JSONValue
    switch source.names {
    case .pixArt, .originalPixArt:
      let patch = try configs.shapes("pos_embed.proj.weight", rank: 4)[3]
      let side = try configs.sampleSize(positions: Self.positions(all), patch: patch)
      made = try configs.pixArt(sampleSize: side, generation ?? .alpha)
      className = "PixArtTransformer2DModel"
    case .dit:
      let patch = try configs.shapes("pos_embed.proj.weight", rank: 4)[3]
      made = try configs.dit(
        sampleSize: configs.sampleSize(positions: Self.positions(all), patch: patch))
      className = "DiTTransformer2DModel"
    case .originalDiT:
      let patch = try configs.shapes("x_embedder.proj.weight", rank: 4)[3]
      made = try configs.originalDiT(
        sampleSize: configs.sampleSize(positions: Self.positions(all), patch: patch))
      className = "DiT"
    case .t5, .autoencoder: throw .internalFailure("a transformer of another part")
    }
    config = .text(made.fileText)
  }

  /// The shape of the position table, under either of its names.
  private static func positions(_ tensors: [SourceTensor]) -> Shape? {
    tensors.first { $0.name == "pos_embed" || $0.name == "pos_embed.pos_embed" }?.shape
  }

  // MARK: α or Σ

  /// Which generation of PixArt the transformer is of: as the option says, or else as the
  /// transformer itself tells, its pipeline, the autoencoder that it is to be used with, or its
  /// path.
  ///
  /// - Throws: `invalidArgument` when nothing tells.
  private static func generation(
    _ source: ImportSources.Weights, _ config: ConfigObject?, _ shapes: ShapeTable,
    _ sources: ImportSources, _ options: ImportOptions
  ) throws(SparseDiTError) -> ImportOptions.Generation {
    if let given = options.generation { return given }
    for name in [OriginalPixArtNames.noCaption, "caption_projection.y_embedding"]
    where shapes.contains(name) {
      let tokens = try shapes(name, rank: 2)[0]
      if tokens == 120 { return .alpha }
      if tokens == 300 { return .sigma }
    }
    if let config, let told = try generation(config) { return told }
    if let index = source.index, index.contains("_class_name") {
      switch try index.string("_class_name") {
      case ModelFamily.pixArtAlpha.rawValue: return .alpha
      case ModelFamily.pixArtSigma.rawValue: return .sigma
      default: break
      }
    }
    if let file = sources.weights[.vae]?.config {
      let scale = try ConfigObject(file: file).double("scaling_factor", default: 0.18215)
      // Those of the autoencoders of Stable Diffusion 1 and XL.
      if abs(scale - 0.18215) < 1e-6 { return .alpha }
      if abs(scale - 0.13025) < 1e-6 { return .sigma }
    }
    let path = source.origin.lowercased()
    switch (path.contains("alpha"), path.contains("sigma")) {
    case (true, false): return .alpha
    case (false, true): return .sigma
    default:
      throw .invalidArgument(
        "\(source.origin): does not tell whether it is PixArt-alpha or PixArt-Sigma: say which")
    }
  }

  /// What the settings of a transformer tell: the first generation has size conditions at 1024 pixels,
  /// the second never; only the second draws positions apart at 256, and has a model for 2048.
  private static func generation(
    _ config: ConfigObject
  ) throws(SparseDiTError) -> ImportOptions.Generation? {
    let size = try config.int("sample_size", in: 1...4096)
    let hasConditions = try config.bool("use_additional_conditions", default: size == 128)
    if hasConditions { return .alpha }
    switch size {
    case 32 where config.contains("interpolation_scale"):
      return try config.double("interpolation_scale") < 1 ? .sigma : .alpha
    case 128, 256: return .sigma
    default: return nil
    }
  }
}

extension ImportSources.Weights {
  /// The configuration beside the weights, where it describes them: weights with the names of PixArt's
  /// authors are renamed, and what lies beside those of DiT's may be diffusers'.
  func ownConfig() throws(SparseDiTError) -> ConfigObject? {
    guard let config, names != .originalPixArt else { return nil }
    let object = try ConfigObject(file: config)
    let isOriginal = try object.string("_class_name", default: "") == "DiT"
    return isOriginal == (names == .originalDiT) ? object : nil
  }
}
