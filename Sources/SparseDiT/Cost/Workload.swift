/// What is to be drawn, as far as costs go.
package struct Workload: Sendable {
  /// The plan of each step.
  package let plans: [BackbonePlan]
  /// Pictures that go through the backbone together: 2 with guidance, else 1.
  package let batch: Int
  /// Tokens of the longest prompt.
  package let textTokens: Int
  package let latentHeight: Int
  package let latentWidth: Int

  package init(
    plans: [BackbonePlan], batch: Int, textTokens: Int, latentHeight: Int, latentWidth: Int
  ) {
    self.plans = plans
    self.batch = batch
    self.textTokens = textTokens
    self.latentHeight = latentHeight
    self.latentWidth = latentWidth
  }
}
