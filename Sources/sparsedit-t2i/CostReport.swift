import SparseDiT

/// What `--cost --json` prints. Multiply-accumulates ("macs") and bytes are not rounded.
struct CostReport: Encodable {
  private let model: String
  private let width: Int
  private let height: Int
  private let drawnWidth: Int
  private let drawnHeight: Int
  private let grid: [Int]
  private let tokens: Int
  private let channels: Int
  private let layout: Layout
  private let textTokens: Int
  private let steps: Int
  /// Forwards per step: two with guidance.
  private let forwardsPerStep: Int
  private let weights: String
  private let phases: [Phase]
  private let segments: [Segment]
  /// Of one step for one picture, without guidance, bottom first.
  private let blocks: [Block]
  /// One forward for one picture, by counting rule.
  private let forward: [String: Forward]
  /// Most bytes that drawing would hold at a time besides mapped files.
  private let peakBytes: Int
  private let picture: Picture
  private let densePicture: Picture

  init(_ cost: CostBreakdown) {
    let plan = cost.plan
    model = plan.model.name
    (width, height) = (plan.sides.width, plan.sides.height)
    (drawnWidth, drawnHeight) = (plan.sides.drawnWidth, plan.sides.drawnHeight)
    grid = [plan.grid.height, plan.grid.width]
    tokens = plan.grid.count
    channels = plan.model.backbone.width
    layout = Layout(plan.layout)
    textTokens = plan.textTokens
    steps = plan.blockPlans.count
    forwardsPerStep = plan.guidance.batch
    weights = "\(plan.format.weights)"
    phases = cost.phases.map { phase in
      let sparse = phase.plan.sparse
      return Phase(
        steps: phase.steps, timesteps: [phase.timesteps.first, phase.timesteps.last],
        grid: [sparse.height, sparse.width], tokens: sparse.count, macs: phase.multiplyAdds)
    }
    segments = cost.segments.map {
      Segment(role: $0.role?.key, blocks: $0.blocks, macs: $0.multiplyAdds)
    }
    blocks = zip(plan.layout.roles, cost.blocks).map { role, cost in
      Block(role: role.key, cost: Stage(cost))
    }
    forward = Dictionary(
      uniqueKeysWithValues: CountingRule.allCases.map {
        ($0.rawValue, Forward(cost.forward($0)))
      })
    peakBytes = plan.peakBytes
    picture = Picture(cost.sparse)
    densePicture = Picture(cost.dense)
  }

  var json: String { encoded(self) }

  struct Layout: Encodable {
    let poolingformer: Int
    let modules: Int
    let module: [Int]
    let top: Int

    init(_ layout: BlockLayout) {
      poolingformer = layout.poolingformer
      modules = layout.modules
      module = [1, layout.module.sparse, 1, layout.module.dense]
      top = layout.top
    }
  }

  struct Forward: Encodable {
    let dense: Double
    let sparse: Double
    let ratio: Double

    init(dense: Double, sparse: Double) {
      self.dense = dense
      self.sparse = sparse
      ratio = dense / sparse
    }

    init(_ forward: CostBreakdown.Forward) {
      self.init(dense: forward.dense, sparse: forward.sparse)
    }
  }

  private struct Phase: Encodable {
    let steps: Int
    let timesteps: [Double]
    let grid: [Int]
    let tokens: Int
    let macs: Double
  }

  private struct Segment: Encodable {
    /// Missing for what lies outside the blocks.
    let role: String?
    let blocks: Int
    let macs: Double
  }

  private struct Block: Encodable {
    let role: String
    let cost: Stage
  }

  private struct Stage: Encodable {
    let macs: Double
    let weightBytes: Double
    let activationBytes: Double

    init(_ cost: Cost) {
      macs = cost.multiplyAdds
      weightBytes = cost.weightBytes
      activationBytes = cost.activationBytes
    }
  }

  private struct Picture: Encodable {
    let textEncoder: Stage
    let textKeysValues: Stage
    let steps: [Stage]
    let decoder: Stage
    let total: Stage

    init(_ costs: StageCosts) {
      textEncoder = Stage(costs.textEncoder)
      textKeysValues = Stage(costs.textKeysValues)
      steps = costs.steps.map(Stage.init)
      decoder = Stage(costs.decoder)
      total = Stage(costs.total)
    }
  }
}
