import Tensors
import Testing

@testable import SparseDiT

/// Configurations that are read off names and shapes, and what those do not tell.
@Suite struct TransformerConfigTests {
  /// Weights with these shapes and no content.
  private func table(
    _ shapes: [String: Shape], name: String = "weights.pt"
  ) -> ShapeTable {
    let file = FileBytes(name: name, embedded: UnsafeRawBufferPointer(start: nil, count: 0))
    let tensors = shapes.map { tensor, shape in
      SourceTensor(
        name: tensor, dtype: .f32, shape: shape, strides: [Int](repeating: 0, count: shape.rank),
        file: file, byteOffset: 0)
    }
    return ShapeTable(tensors, name: name)
  }

  /// DiT or SparseDiT of its authors; of a block only one name.
  private func original(
    width: Int = 12, patch: Int = 2, layout: BlockLayout?, depth: Int = 3
  ) -> [String: Shape] {
    var shapes: [String: Shape] = [
      "x_embedder.proj.weight": [width, 4, patch, patch], "pos_embed": [1, 64, width],
      "y_embedder.embedding_table.weight": [6, width],
      "final_layer.linear.bias": [8 * patch * patch],
    ]
    func add(_ prefix: String, _ count: Int) {
      for index in 0..<count { shapes["\(prefix).\(index).attn.proj.weight"] = [width, width] }
    }
    guard let layout else {
      add("blocks", depth)
      return shapes
    }
    add("poolingformer_blocks", layout.poolingformer)
    for module in 0..<layout.modules {
      add("dumbbell_blocks.\(module).token_merge_blocks", 1)
      add("dumbbell_blocks.\(module).semantic_blocks", layout.module.sparse)
      add("dumbbell_blocks.\(module).token_recover_blocks", 1)
      add("dumbbell_blocks.\(module).normal_blocks", layout.module.dense)
    }
    add("normal_blocks", layout.top)
    return shapes
  }

  private func config(_ json: JSONValue) throws -> BackboneConfig {
    guard case .object(let members) = json else { throw SparseDiTError.internalFailure("array") }
    return try BackboneConfig(ConfigObject(name: "made", members: members))
  }

  @Test(arguments: [(1, 4, 3, 1, 3, 8), (2, 1, 0, 12, 0, 3), (0, 2, 1, 0, 1, 1)])
  func readsTheLayoutOffTheNames(
    _ bottom: Int, _ modules: Int, _ sparse: Int, _ dense: Int, _ top: Int, _ grid: Int
  ) throws {
    let layout = BlockLayout(
      poolingformer: bottom, modules: modules,
      module: SparseDenseTokenModule(sparse: sparse, dense: dense), top: top)
    let configs = TransformerConfigs(
      shapes: table(original(layout: layout)),
      options: ImportOptions(heads: 3, sparseGrid: grid))
    let made = try config(configs.originalDiT(sampleSize: 16))
    #expect(made.sparsity?.layout == layout && made.depth == layout.depth)
    #expect(made.family == .originalDiT && made.heads == 3 && made.headWidth == 4)
    #expect(made.patch == 2 && made.sampleSize == 16 && made.outChannels == 8)
    #expect(made.classes?.count == 5)
    // The share that is left of 8 × 8 tokens.
    let rates = try #require(made.sparsity?.rates)
    #expect(rates.min == rates.max && abs(8 * (1 - rates.min).squareRoot() - Double(grid)) < 1e-9)
  }

  @Test func knowsTheWidthsOfDiT() throws {
    for (width, heads) in [(384, 6), (768, 12), (1024, 16), (1152, 16)] {
      let configs = TransformerConfigs(
        shapes: table(original(width: width, layout: nil, depth: 12)), options: ImportOptions())
      let made = try config(configs.originalDiT(sampleSize: 32))
      #expect(made.heads == heads && made.depth == 12 && made.sparsity == nil)
    }
  }

  @Test func saysWhatWeightsDoNotTell() throws {
    func message(
      _ options: ImportOptions, _ change: (inout [String: Shape]) -> Void = { _ in }
    ) throws -> String {
      let layout = BlockLayout(
        poolingformer: 1, modules: 2, module: SparseDenseTokenModule(sparse: 2, dense: 1), top: 1)
      var shapes = original(layout: layout)
      change(&shapes)
      let configs = TransformerConfigs(shapes: table(shapes), options: options)
      return "\(try error { _ = try configs.originalDiT(sampleSize: 16) })"
    }
    #expect(try message(ImportOptions()).contains("weights.pt: its width 12 does not tell"))
    #expect(try message(ImportOptions(heads: 5)).contains("a divisor"))
    #expect(try message(ImportOptions(heads: 3, sparseGrid: 9)).contains("sparse grid 9"))
    let heads = ImportOptions(heads: 3)
    #expect(
      try message(heads) { $0["dumbbell_blocks.1.semantic_blocks.1.attn.proj.weight"] = nil }
        .contains("[1, 1, 1, 1], [1, 2, 1, 1]"))
    #expect(
      try message(heads) { $0["final_layer.linear.bias"] = nil }
        .contains("weights.pt: tensor \"final_layer.linear.bias\" is missing"))
    #expect(
      try message(heads) { $0["x_embedder.proj.weight"] = [12, 4] }
        .contains("expected 4 axes, found shape [12, 4]"))
  }

  @Test(arguments: [
    ("PixArt-XL-2-1024-MS.pth", 128), ("DiT-XL-2-256x256.pt", 32), ("a/512/Sigma-2K.bin", 256),
    ("PixArt_sigma_xl2_img512_laionHQ.pth", 64), ("256-to-512.pt", nil), ("model.pt", nil),
  ])
  func findsTheSizeInTheName(_ name: String, _ expected: Int?) throws {
    let configs = TransformerConfigs(shapes: table([:], name: name), options: ImportOptions())
    if let expected {
      #expect(try configs.sampleSize(positions: nil, patch: 2) == expected)
    } else {
      let message = "\(try error { _ = try configs.sampleSize(positions: nil, patch: 2) })"
      #expect(message.hasPrefix("\(name): does not tell the size"))
    }
    // The table comes before the name, and what is said before the table.
    #expect(try configs.sampleSize(positions: [1, 36, 8], patch: 4) == 24)
    let told = TransformerConfigs(
      shapes: table([:], name: name), options: ImportOptions(size: 768))
    #expect(try told.sampleSize(positions: [1, 36, 8], patch: 4) == 96)
    let uneven = try error { _ = try configs.sampleSize(positions: [1, 35, 8], patch: 4) }
    #expect("\(uneven)".contains("35 tokens"))
  }
}
