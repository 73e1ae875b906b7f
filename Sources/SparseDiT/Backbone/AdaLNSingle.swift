import Tensors

/// PixArt's adaLN-single: the timestep (and picture size) gives modulation values once for all
/// blocks, to which each block adds a table of its own.
///
/// Source: PixArt-α (arXiv 2310.00426), section 2.3; names and arithmetic of diffusers.
struct AdaLNSingle: AdaLN {
  let timestep: SinusoidalEmbedding
  /// Of the 1024 models: one number gives D/3 channels; height, width and aspect ratio give D.
  let size: (resolution: SinusoidalEmbedding, aspectRatio: SinusoidalEmbedding)?
  let linear: Linear
  /// f32 `[1, 6·D]` per block.
  let blockTables: [Tensor]
  /// f32 `[1, 2·D]`: shift and scale of the last norm.
  let outputTable: Tensor

  init(
    _ reader: WeightReader, _ config: BackboneConfig, usesPictureSize: Bool
  ) throws(SparseDiTError) {
    let width = config.width
    let name = "adaln_single"
    timestep = try SinusoidalEmbedding(reader, "\(name).emb.timestep_embedder", width)
    size =
      usesPictureSize
      ? (
        try SinusoidalEmbedding(reader, "\(name).emb.resolution_embedder", width / 3),
        try SinusoidalEmbedding(reader, "\(name).emb.aspect_ratio_embedder", width / 3)
      ) : nil
    linear = try reader.linear("\(name).linear", in: width, out: 6 * width)
    blockTables = try (0..<config.depth).map { depth throws(SparseDiTError) in
      try reader.tensor("\(BlockBody.name(depth)).scale_shift_table", [6, width])
        .reshaped([1, 6 * width])
    }
    outputTable = try reader.tensor("scale_shift_table", [2, width]).reshaped([1, 2 * width])
  }

  /// G is the number of sizes for the 1024 models, else 1.
  func forward(
    timesteps: [Double], _ condition: Condition<PreparedText, [Int]>, on compute: Compute
  ) throws(SparseDiTError) -> [ForwardModulation] {
    guard let text = condition.text else {
      throw ConditionKind.text.refusal(of: "adaLN-single", condition.kind)
    }
    let embedded = try embedding(timesteps, text.sizes, on: compute)  // [T·G, D]
    let activated = try compute.silu(embedded)
    let shared = try compute.linear(activated, linear, output: .f32)  // [T·G, 6·D]
    let blocks = try blockTables.map { table throws(SparseDiTError) in
      try compute.sum(shared, table)
    }
    // Shift and scale are each the embedded timestep plus a row of the table.
    let width = embedded.shape.columns
    return ForwardModulation.split(
      timesteps.count, blocks: blocks,
      outputShift: try compute.sum(embedded, outputTable.columns(0..<width)),
      outputScale: try compute.sum(embedded, outputTable.columns(width..<2 * width)))
  }

  /// T timesteps and G sizes → f32 `[T·G, D]`.
  private func embedding(
    _ timesteps: [Double], _ sizes: [PictureSize], on compute: Compute
  ) throws(SparseDiTError) -> Tensor {
    guard let size else { return try timestep.forward(timesteps.map(Float.init), on: compute) }
    let groups = timesteps.count * sizes.count
    let embedded = try timestep.forward(  // [T·G, D]
      timesteps.flatMap { t in sizes.map { _ in Float(t) } }, on: compute)
    let sizes = timesteps.flatMap { _ in sizes }
    let resolutions = try size.resolution.forward(  // [2·T·G, D/3]
      sizes.flatMap { [Float($0.height), Float($0.width)] }, on: compute)
    let ratios = try size.aspectRatio.forward(  // [T·G, D/3]
      sizes.map { Float($0.aspectRatio) }, on: compute)
    let third = ratios.shape.columns
    try compute.add(
      resolutions.reshaped([groups, 2 * third]), to: embedded.columns(0..<2 * third))
    try compute.add(ratios, to: embedded.columns(2 * third..<3 * third))
    return embedded
  }
}

extension Compute {
  /// x `[G, C]` plus one row `[1, C]`, in new memory.
  fileprivate func sum(_ x: Tensor, _ row: Tensor) throws(SparseDiTError) -> Tensor {
    let (groups, columns) = (x.shape[0], x.shape.columns)
    let result = try cast(x, to: .f32)  // a copy
    try broadcastAdd(result.reshaped([1, groups, columns]), row.reshaped([1, 1, columns]))
    return result
  }
}
