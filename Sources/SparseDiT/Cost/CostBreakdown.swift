import Tensors

/// What a request costs in parts: by stage of the schedule, by kind of block and by block; and what
/// the same backbone costs when it runs dense.
package struct CostBreakdown: Sendable {
  /// Steps in a row that see the same tokens.
  package struct Phase: Sendable {
    package let steps: Int
    /// Training timesteps of the first and the last of them.
    package let timesteps: (first: Double, last: Double)
    package let plan: BackbonePlan
    /// Multiply-accumulates of one forward for one picture.
    package let multiplyAdds: Double
  }

  /// All blocks of one kind, or what lies outside the blocks (nil).
  package struct Segment: Sendable {
    package let role: BlockRole?
    package let blocks: Int
    /// Multiply-accumulates of all of them in one forward for one picture, averaged over the steps.
    package let multiplyAdds: Double
  }

  /// One forward for one picture, averaged over the steps.
  package struct Forward: Sendable {
    package let sparse: Double
    package let dense: Double
    package var ratio: Double { dense / sparse }
  }

  package let plan: GenerationPlan

  package init(_ plan: GenerationPlan) { self.plan = plan }

  private var plans: [BackbonePlan] { plan.blockPlans }

  /// Multiply-accumulates of one forward for one picture, by a rule.
  package func forward(_ rule: CountingRule) -> Forward {
    let cost = forwardCost(rule)
    return Forward(
      sparse: plans.map { cost.step($0).multiplyAdds }.mean,
      dense: cost.step(densePlan).multiplyAdds)
  }

  /// One picture, stage by stage.
  package var sparse: StageCosts { stages(plans) }
  /// The same picture by the same backbone without any of SparseDiT.
  package var dense: StageCosts { stages(plans.map { _ in densePlan }) }

  /// The steps, grouped by the tokens that they see.
  package var phases: [Phase] {
    let forward = forwardCost(.executed)
    var phases: [Phase] = []
    for (plan, timestep) in zip(plans, self.plan.timesteps) {
      let last = phases.last.flatMap { $0.plan == plan ? $0 : nil }
      if last != nil { phases.removeLast() }
      phases.append(
        Phase(
          steps: (last?.steps ?? 0) + 1,
          timesteps: (last?.timesteps.first ?? timestep, timestep), plan: plan,
          multiplyAdds: forward.step(plan).multiplyAdds))
    }
    return phases
  }

  /// The blocks of a forward, grouped by kind, and what lies outside of them.
  package var segments: [Segment] {
    let forward = forwardCost(.executed)
    let kinds: [BlockRole] = [.poolingformer, .generation, .sparse, .recovery, .dense]
    let blocks = kinds.compactMap { kind -> Segment? in
      let count = plan.layout.roles.count { $0 == kind }
      guard count > 0 else { return nil }
      return Segment(
        role: kind, blocks: count,
        multiplyAdds: Double(count) * plans.map { forward.block(kind, $0).multiplyAdds }.mean)
    }
    let rest = plans.map { (forward.ends($0) + forward.modulation()).multiplyAdds }.mean
    return blocks + [Segment(role: nil, blocks: 0, multiplyAdds: rest)]
  }

  /// Each block of a forward for one picture, bottom first: averages over the steps; the
  /// memory is that of the step that needs most.
  package var blocks: [Cost] {
    let forward = forwardCost(.executed)
    return plan.layout.roles.map { role in
      let costs = plans.map { forward.block(role, $0) }
      return Cost(
        multiplyAdds: costs.map(\.multiplyAdds).mean, weightBytes: costs.map(\.weightBytes).mean,
        activationBytes: costs.total.activationBytes)
    }
  }

  private var densePlan: BackbonePlan {
    BackbonePlan(
      layout: .dense(depth: plan.model.backbone.depth), dense: plan.grid, sparse: plan.grid)
  }

  private func forwardCost(_ rule: CountingRule) -> ForwardCost {
    ForwardCost(
      plan.model.backbone, rule: rule, textTokens: plan.textTokens, format: plan.format)
  }

  private func stages(_ plans: [BackbonePlan]) -> StageCosts {
    StageCosts(plan.model, plan.workload(plans), format: plan.format)
  }
}

extension [Double] {
  /// 0 where there are no values.
  fileprivate var mean: Double { reduce(0, +) / Double(Swift.max(count, 1)) }
}
