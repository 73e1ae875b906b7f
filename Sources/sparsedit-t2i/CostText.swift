import SparseDiT
import Tensors

/// What `--cost` prints for people.
struct CostText {
  private let cost: CostBreakdown

  init(_ cost: CostBreakdown) { self.cost = cost }

  var text: String {
    [heading, phases, segments, forwards, stages].joined(separator: "\n")
  }

  private var heading: String {
    let (grid, layout) = (cost.grid, cost.layout)
    let blocks =
      layout.isSparse
      ? "\(cost.backbone.depth) blocks: \(layout)" : "\(cost.backbone.depth) dense blocks"
    let pruning =
      switch cost.pruning {
      case .schedule(let schedule)?:
        "rates \(schedule.rates.min) to \(schedule.rates.max), \(schedule.kind.rawValue)"
      case .table(let table)?: "tokens by timestep \(table)"
      case nil: "no pruning"
      }
    let text = cost.textTokens > 0 ? ", \(cost.textTokens) tokens of text" : ""
    return """
      \(cost.name), \(cost.width)×\(cost.height) pixels: \(grid) = \(grid.count) tokens of \
      \(cost.backbone.width) channels\(text)
      \(blocks)
      \(pruning); \(cost.sparse.steps.count) steps \(cost.batch > 1 ? "with" : "without") guidance; \
      weights in \(cost.format.weights)
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
    if cost.textTokens > 0 {
      add("text encoder", \.textEncoder)
      add("keys and values of the text", \.textKeysValues)
    }
    add("backbone, \(cost.sparse.steps.count) steps", \.steps.total)
    add("decoder", \.decoder)
    add("all", \.total)
    return table.text
  }
}

extension BlockRole {
  /// As a report for programs calls blocks of this kind.
  var key: String {
    switch self {
    case .poolingformer: "poolingformer"
    case .generation: "sparse_generation"
    case .sparse: "sparse"
    case .recovery: "dense_recovery"
    case .dense: "dense"
    }
  }

  /// As a report for people calls them.
  fileprivate var name: String {
    self == .poolingformer ? "Poolingformer" : key.replacing("_", with: " ")
  }
}

extension CountingRule {
  /// As a report for people calls it.
  fileprivate var name: String {
    switch self {
    case .executed: "as executed"
    case .paper: "by the paper's rule"
    }
  }
}
