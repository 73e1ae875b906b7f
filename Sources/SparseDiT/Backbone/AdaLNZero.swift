import Tensors

/// DiT's adaLN-zero: timestep and class label are embedded as one vector, of which each block makes
/// its own modulation by a linear layer. In training that layer starts at zero, hence the name.
///
/// Source: DiT (arXiv 2212.09748), section 3.2; names of diffusers.
struct AdaLNZero: AdaLN {
  /// One for all blocks; or one for each, in a model that was trained with diffusers' class, where
  /// every block has its own. The first also serves the last norm.
  let embeddings: [TimestepLabelEmbedding]
  /// D → 6·D, one per block.
  let blocks: [Linear]
  /// D → 2·D: shift and scale of the last norm.
  let output: Linear

  init(
    _ reader: WeightReader, _ config: BackboneConfig, _ classes: ClassInput
  ) throws(SparseDiTError) {
    let width = config.width
    let first = try TimestepLabelEmbedding(reader, depth: 0, width: width, classes)
    // Files hold a copy for each block. As a rule all copies are the same.
    let isShared = (1..<config.depth).allSatisfy { depth in
      TimestepLabelEmbedding.tensors.allSatisfy { tensor in
        reader.skipCopy(
          TimestepLabelEmbedding.name(depth) + tensor,
          of: TimestepLabelEmbedding.name(0) + tensor)
      }
    }
    var embeddings = [first]
    for depth in 1..<(isShared ? 1 : config.depth) {
      embeddings.append(try TimestepLabelEmbedding(reader, depth: depth, width: width, classes))
    }
    self.embeddings = embeddings
    blocks = try (0..<config.depth).map { depth throws(SparseDiTError) in
      try reader.linear("\(BlockBody.name(depth)).norm1.linear", in: width, out: 6 * width)
    }
    output = try reader.linear("proj_out_1", in: width, out: 2 * width)
  }

  /// G is the number of labels.
  func forward(
    timesteps: [Double], _ condition: Condition<PreparedText, [Int]>, on compute: Compute
  ) throws(SparseDiTError) -> [ForwardModulation] {
    guard let labels = condition.classes else {
      throw ConditionKind.classes.refusal(of: "adaLN-zero", condition.kind)
    }
    let activated = try embeddings.map { embedding throws(SparseDiTError) in
      try compute.silu(try embedding.forward(timesteps, labels, on: compute))  // [T·B, D]
    }
    let modulations = try blocks.enumerated().map { depth, linear throws(SparseDiTError) in
      let own = activated[min(depth, activated.count - 1)]
      return try compute.linear(own, linear, output: .f32)  // [T·B, 6·D]
    }
    let last = try compute.linear(activated[0], output, output: .f32)  // [T·B, 2·D]
    let width = last.shape.columns / 2
    return ForwardModulation.split(
      timesteps.count, blocks: modulations, outputShift: last.columns(0..<width),
      outputScale: last.columns(width..<2 * width))
  }
}

/// Timestep and class label as one vector: the sum of their embeddings.
struct TimestepLabelEmbedding: Sendable {
  let timestep: SinusoidalEmbedding
  /// f32 `[classes + 1, D]`; the last row stands for no class.
  let labels: Tensor

  /// Where the weights of a block's embedding lie.
  static func name(_ depth: Int) -> String { "\(BlockBody.name(depth)).norm1.emb" }
  /// Its tensors, behind ``name(_:)``.
  static let tensors =
    ["linear_1", "linear_2"].flatMap { layer in
      ["weight", "bias"].map { ".timestep_embedder.\(layer).\($0)" }
    } + [table]
  private static let table = ".class_embedder.embedding_table.weight"

  init(
    _ reader: WeightReader, depth: Int, width: Int, _ classes: ClassInput
  ) throws(SparseDiTError) {
    let name = Self.name(depth)
    timestep = try SinusoidalEmbedding(
      reader, "\(name).timestep_embedder", width, frequencyShift: classes.frequencyShift)
    labels = try reader.tensor(name + Self.table, [classes.count + 1, width])
  }

  /// T timesteps and B labels → f32 `[T·B, D]`.
  func forward(
    _ timesteps: [Double], _ labels: [Int], on compute: Compute
  ) throws(SparseDiTError) -> Tensor {
    let (count, batch) = (timesteps.count, labels.count)
    let ids = timesteps.flatMap { _ in labels.map { Int32(clamping: $0) } }
    let embedded = try compute.gatherRows(self.labels, Tensor(ids, [count * batch]))  // [T·B, D]
    let time = try timestep.forward(timesteps.map(Float.init), on: compute)  // [T, D]
    let width = embedded.shape.columns
    try compute.broadcastAdd(
      embedded.reshaped([count, batch, width]), time.reshaped([count, 1, width]))
    return embedded
  }
}
