import Tensors
import Testing

@testable import SparseDiT

/// Our accounting against the numbers that the papers print.
@Suite struct PaperCostTests {
  static let format = NumberFormat(weights: .bf16, activations: .bf16)

  static func cost(_ name: String, _ request: GenerationRequest) throws -> CostBreakdown {
    CostBreakdown(
      try ModelOutline(PublishedModel(named: name)).plan(request, format: format))
  }

  @Test(arguments: PaperRow.all.map(\.name))
  func countsWhatSparseDiTCounts(_ name: String) throws {
    let row = try #require(PaperRow.all.first { $0.name == name })
    let counted = try row.counted(format: Self.format)
    let paper = counted.forward(.paper)
    // The dense column is exact but for its rounding and the caption's projection.
    #expect(abs(paper.dense / (1e9 * row.dense) - 1) <= 0.005)
    // The paper does not say which timesteps its averages are over; and for two rows, not the layout.
    let tolerance = row.hasKnownLayout || row.backbone == "DiT-B/2" ? 0.03 : 0.065
    #expect(abs(paper.sparse / (1e9 * row.sparse) - 1) <= tolerance)
    // The engine computes less than the paper counts; the largest difference is PixArt's text.
    let executed = counted.forward(.executed)
    #expect(executed.sparse < paper.sparse && executed.sparse > 0.85 * paper.sparse)
  }

  /// 10⁹ multiply-accumulates at 256², from DiT (arXiv 2212.09748), table 4.
  @Test(arguments: [
    ("DiT-S/8", 0.36), ("DiT-S/4", 1.41), ("DiT-S/2", 6.06), ("DiT-B/8", 1.42), ("DiT-B/4", 5.56),
    ("DiT-B/2", 23.01), ("DiT-L/8", 5.01), ("DiT-L/4", 19.70), ("DiT-L/2", 80.71),
    ("DiT-XL/8", 7.39), ("DiT-XL/4", 29.05), ("DiT-XL/2", 118.64),
  ])
  func countsWhatDiTCounts(_ name: String, _ expected: Double) throws {
    let cost = try Self.cost(name, GenerationRequest())
    // Two digits after the point, and layers that the authors' tool leaves out.
    #expect(abs(cost.forward(.paper).dense / 1e9 - expected) <= 0.005 + 0.005 * expected)
  }

  @Test func everyNameHasSizesThatFit() throws {
    for name in PublishedModel.names {
      for isSparse in [true, false] {
        let model = try ModelOutline(PublishedModel(named: name, isSparse: isSparse))
        let layout = model.backbone.sparsity?.layout
        #expect((layout != nil) == isSparse)
        #expect(layout?.depth ?? model.backbone.depth == model.backbone.depth)
      }
    }
    #expect(throws: SparseDiTError.self) { try PublishedModel(named: "DiT-XL/3") }
  }

  @Test func phasesAndBlocksAddUp() throws {
    for name in ["PixArt-XL/2", "DiT-L/4"] {
      let cost = try Self.cost(
        name, GenerationRequest(width: 256, height: 384, steps: 7, guidanceScale: 1))
      let average = cost.forward(.executed).sparse
      let steps = cost.phases.reduce(0) { $0 + Double($1.steps) * $1.multiplyAdds }
      let segments = cost.segments.reduce(0) { $0 + $1.multiplyAdds }
      let outside = try #require(cost.segments.last { $0.role == nil }).multiplyAdds
      let blocks = cost.blocks.total.multiplyAdds
      // Sums in another order.
      for (sum, expected) in [
        (steps, 7 * average), (segments, average), (blocks + outside, average),
        (cost.sparse.steps.total.multiplyAdds, 7 * average),
      ] { #expect(abs(sum / expected - 1) < 1e-12) }
      #expect(cost.phases.map(\.steps).reduce(0, +) == 7)
    }
  }

  /// A configuration may describe a model whose work no `Int` holds.
  @Test func hugeSizesDoNotOverflow() throws {
    let config = try BackboneConfig(
      ConfigObject(
        name: "huge",
        members: [
          "num_attention_heads": .integer(1024), "attention_head_dim": .integer(4096),
          "num_layers": .integer(1000), "patch_size": .integer(1), "in_channels": .integer(1024),
          "sample_size": .integer(4096), "cross_attention_dim": .integer(65_536),
          "activation_fn": .string("gelu"), "use_additional_conditions": .bool(false),
        ]))
    let grid = Grid(height: 8187, width: 8187)
    let plan = try BackbonePlanner(.rates(min: 0, max: 0), config: config).plan(for: grid, at: 0)
    let cost = ForwardCost(config, batch: 2, textTokens: 1024, format: Self.format).forward(plan)
    #expect(cost.multiplyAdds.isFinite && cost.multiplyAdds > Double(Int.max))
    #expect(Int(clamping: cost.multiplyAdds) == Int.max)
  }
}
