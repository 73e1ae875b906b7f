import SparseDiT

/// What `--cost` prints for people.
struct CostText {
  private let cost: CostBreakdown

  init(_ cost: CostBreakdown) { self.cost = cost }

  private var plan: GenerationPlan { cost.plan }

  var text: String {
    [heading, phases, segments, forwards, stages].joined(separator: "\n")
  }

  private var heading: String {
    let (grid, layout) = (plan.grid, plan.layout)
    let blocks =
      layout.isSparse
      ? "\(plan.model.backbone.depth) blocks: \(layout)"
      : "\(plan.model.backbone.depth) dense blocks"
    let pruning =
      switch plan.pruning {
      case .schedule(let schedule)?:
        "rates \(schedule.rates.min) to \(schedule.rates.max), \(schedule.kind.rawValue)"
      case .table(let table)?: "tokens by timestep \(table)"
      case nil: "no pruning"
      }
    let text = plan.textTokens > 0 ? ", \(plan.textTokens) tokens of text" : ""
    let sides = plan.sides
    let drawn = sides.isResized ? ", drawn at \(sides.drawnWidth)×\(sides.drawnHeight)" : ""
    return """
      \(plan.model.name), \(plan.sides.width)×\(plan.sides.height) pixels\(drawn): \(grid) = \(grid.count) tokens of \
      \(plan.model.backbone.width) channels\(text)
      \(blocks)
      \(pruning); \(plan.blockPlans.count) steps \(plan.guidance.isOn ? "with" : "without") guidance; \
      weights in \(plan.format.weights)
      10⁹ multiply-accumulates (GMAC); a forward is for one picture, and for one half of guidance

      """
  }

  /// Each group of steps that see the same tokens.
  private var phases: String {
    var table = Table("timesteps", "steps", "sparse tokens", "GMAC", "dense ÷ sparse")
    let dense = cost.forward(.executed).dense
    for phase in cost.phases {
      let sparse = phase.plan.sparse
      table.add(
        "\(decimal(phase.timesteps.first, 0)) … \(decimal(phase.timesteps.last, 0))",
        "\(phase.steps)", "\(sparse) = \(sparse.count)", billions(phase.multiplyAdds),
        decimal(dense / phase.multiplyAdds, 2))
    }
    return table.text
  }

  private var segments: String {
    var table = Table("blocks of a forward", "blocks", "GMAC", "share")
    let total = cost.segments.reduce(0) { $0 + $1.multiplyAdds }
    for segment in cost.segments {
      table.add(
        segment.role?.name ?? "embeddings, modulation, output",
        segment.role == nil ? "" : "\(segment.blocks)", billions(segment.multiplyAdds),
        decimal(100 * segment.multiplyAdds / total, 1) + " %")
    }
    return table.text
  }

  private var forwards: String {
    var table = Table(
      "a forward, average of the steps", "dense GMAC", "sparse GMAC", "dense ÷ sparse")
    for rule in CountingRule.allCases {
      let forward = cost.forward(rule)
      table.add(
        rule.name, billions(forward.dense), billions(forward.sparse), decimal(forward.ratio, 2))
    }
    return table.text
  }

  private var stages: String {
    var table = Table("one picture", "dense GMAC", "sparse GMAC", "weights read", "memory")
    func add(_ name: String, _ stage: (StageCosts) -> Cost) {
      let (dense, sparse) = (stage(cost.dense), stage(cost.sparse))
      table.add(
        name, billions(dense.multiplyAdds), billions(sparse.multiplyAdds),
        bytes(sparse.weightBytes), bytes(sparse.activationBytes))
    }
    if plan.textTokens > 0 {
      add("text encoder", \.textEncoder)
      add("keys and values of the text", \.textKeysValues)
    }
    add("backbone, \(plan.blockPlans.count) steps", \.steps.total)
    add("decoder", \.decoder)
    add("all", \.total)
    return table.text
  }
}

extension BlockRole {
  /// The name of blocks of this kind in a report for programs.
  var key: String {
    switch self {
    case .poolingformer: "poolingformer"
    case .generation: "sparse_generation"
    case .sparse: "sparse"
    case .recovery: "dense_recovery"
    case .dense: "dense"
    }
  }

  /// Their name in a report for people.
  fileprivate var name: String {
    self == .poolingformer ? "Poolingformer" : key.replacing("_", with: " ")
  }
}

extension CountingRule {
  /// Its name in a report for people.
  fileprivate var name: String {
    switch self {
    case .executed: "as executed"
    case .paper: "by the paper's rule"
    }
  }
}
