import Tensors

/// What a request would cost, worked out from the plan that drawing it would follow.
package struct RequestCost: Sendable {
  /// Multiply-accumulates of one forward for one picture and one guidance half, averaged over the
  /// steps.
  package let multiplyAddsPerForward: Double
  /// Of all forwards of the request, with what they share (the keys and values of the text).
  package let multiplyAdds: Double
  /// Bytes of backbone weights that one forward reads, on average over the steps.
  package let weightBytes: Int
  /// Bytes that the request would hold at its worst moment, besides mapped files.
  package let peakBytes: Int
  /// Of one picture, with the prompts' stages, which all pictures of the request share.
  package let stages: StageCosts

  package init(_ plan: GenerationPlan) {
    stages = StageCosts(plan.model, plan.workload(), format: plan.format)
    let steps = stages.steps.total
    multiplyAddsPerForward = stages.multiplyAddsPerForward
    multiplyAdds =
      stages.textKeysValues.multiplyAdds + Double(plan.request.count) * steps.multiplyAdds
    weightBytes = Int(clamping: steps.weightBytes / Double(max(plan.blockPlans.count, 1)))
    peakBytes = plan.peakBytes
  }
}

extension Int {
  /// The nearest `Int` of a number that is not NaN.
  package init(clamping value: Double) {
    self = Int(exactly: value.rounded()) ?? (value < 0 ? .min : .max)
  }
}
