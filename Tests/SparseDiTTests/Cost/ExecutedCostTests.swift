import Tensors
import Testing

@testable import SparseDiT

/// Costs that are worked out from plans against what the engine counts while it multiplies. Both are
/// whole numbers far below 2⁵³, so they must be equal.
@Suite struct ExecutedCostTests {
  static let rates = SparsityChoice.rates(min: 0.3, max: 0.8)

  @Test(arguments: SmallBackbone.allCases, [(1, 1), (2, 2), (3, 1), (3, 3)])
  func forwardMultipliesWhatItsPlanSays(
    _ kind: SmallBackbone, _ pictures: (conditions: Int, latents: Int)
  ) throws {
    let (batch, distinct) = pictures
    let latents = try Tensor(
      [Float](repeating: 0.5, count: distinct * 4 * 10 * 14), [distinct, 4, 10, 14])
    for (precision, choice) in [(.f32, .dense), (.f32, Self.rates), (.bf16, Self.rates)]
      as [(Precision, SparsityChoice)]
    {
      let backbone = try kind.load(precision)
      let compute = try Compute(threads: 1, precision: precision)
      let cost = ForwardCost(
        backbone.config, batch: batch, sharesLatents: distinct == 1, textTokens: 5,
        format: NumberFormat(precision, activations: compute.activationDType))

      compute.workCount = WorkCount()
      let condition = try kind.condition(backbone, batch: batch, on: compute)
      expect(compute, counts: cost.text, "\(kind) text")

      let planner = try BackbonePlanner(choice, config: backbone.config)
      for t in [40.0, 990] {
        let plan = try planner.plan(for: backbone.grid(latentHeight: 10, latentWidth: 14), at: t)
        compute.workCount = WorkCount()
        _ = try backbone.forward(latents, timestep: t, condition, plan: plan, on: compute)
        expect(
          compute, counts: cost.step(plan), "\(kind) \(plan.sparse)")
      }
    }
  }

  @Test(arguments: GoldenData.pixart)
  func textEncoderAndDecoderMultiplyWhatTheirSizesSay(_ name: String) throws {
    let golden = try GoldenData(name)
    let folder = try ModelFolder(directory: golden.path)
    let compute = try Compute(threads: 1, precision: .f32)
    let format = NumberFormat(.f32, activations: .f32)

    let encoder = try T5Encoder(folder: folder, precision: .f32)
    let (ids, mask) = golden.padded(Array(golden.text.prefix(2)))
    compute.workCount = WorkCount()
    _ = try encoder.encode(
      ids: ids, mask: mask, batch: 2, length: golden.maxLength, on: compute)
    expect(
      compute, counts: encoder.config.cost(prompts: 2, length: golden.maxLength, format), name)

    let decoder = try AutoencoderKL(folder: folder, precision: .f32)
    let latents = try Tensor(
      [Float](repeating: 0.1, count: decoder.latentChannels * 3 * 5),
      [1, decoder.latentChannels, 3, 5])
    compute.workCount = WorkCount()
    _ = try decoder.decode(latents, on: compute)
    expect(
      compute, counts: decoder.config.cost(latentHeight: 3, latentWidth: 5, format), name)
  }

  /// With more and fewer steps than have their modulation made at once.
  @Test(arguments: [(4.5, 3), (1, 19)])
  func requestMultipliesWhatItsStagesSay(_ guidance: Double, _ steps: Int) throws {
    let pipeline = try Pipeline(
      model: ModelFolder(directory: GoldenData("pixart-sharded").path),
      options: PipelineOptions(precision: .f32, threads: 1))
    let request = GenerationRequest(
      prompt: "two cats", negativePrompt: "a much longer text than that", width: 48, height: 32,
      steps: steps, guidanceScale: guidance, count: 2)
    let cost = try pipeline.cost(of: request)
    func exchange(_ count: WorkCount?) throws -> WorkCount? {
      try pipeline.exclusively { _, compute in
        defer { compute.workCount = count }
        return compute.workCount
      }
    }
    _ = try exchange(WorkCount())
    _ = try pipeline.generate(request)
    let counted = try #require(try exchange(nil))
    let prompts = cost.stages.textEncoder + cost.stages.textKeysValues
    let expected = prompts + 2 * (cost.stages.steps.total + cost.stages.decoder)
    // A step's share of what several steps have in common, and its sum.
    #expect(abs(Double(counted.multiplyAdds) / expected.multiplyAdds - 1) < 1e-14)
    #expect(abs(Double(counted.weightBytes) / expected.weightBytes - 1) < 1e-14)
    #expect(
      cost.multiplyAdds
        == cost.stages.textKeysValues.multiplyAdds + 2 * cost.stages.steps.total.multiplyAdds)
    let halves = guidance > 1 ? 2.0 : 1
    let forwards = Double(steps) * halves
    // A mean and its sum: one rounding each.
    #expect(
      abs(cost.multiplyAddsPerForward * forwards / cost.stages.steps.total.multiplyAdds - 1) < 1e-14
    )
  }

  /// A forward holds at least what is estimated, and more only by what the estimate leaves out.
  @Test(arguments: SmallBackbone.allCases, Precision.allCases)
  func forwardHoldsWhatItsPlanSays(_ kind: SmallBackbone, _ precision: Precision) throws {
    let backbone = try kind.load(precision)
    let compute = try Compute(threads: 1, precision: precision)
    let cost = ForwardCost(
      backbone.config, batch: 2, textTokens: 5,
      format: NumberFormat(precision, activations: compute.activationDType))
    let condition = try kind.condition(backbone, batch: 2, on: compute)
    let plan = try BackbonePlanner(Self.rates, config: backbone.config)
      .plan(for: backbone.grid(latentHeight: 32, latentWidth: 64), at: 300)
    let latents = try Tensor([Float](repeating: 0.5, count: 2 * 4 * 32 * 64), [2, 4, 32, 64])
    let before = compute.liveBytes
    _ = try backbone.forward(latents, timestep: 300, condition, plan: plan, on: compute)
    let held = Double(compute.peakBytes - before)
    let expected = cost.step(plan).activationBytes
    #expect(held >= expected)
    // Blocks of memory are up to an eighth larger than asked for; a thread's scores take 512 KiB,
    // and the same as bf16 where those are multiplied.
    #expect(held <= 1.125 * expected + 1.5 * Double(512 << 10))
  }

  private func expect(
    _ compute: Compute, counts cost: Cost, _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let count = compute.workCount ?? WorkCount()
    #expect(
      Double(count.multiplyAdds) == cost.multiplyAdds, "\(what)", sourceLocation: sourceLocation)
    #expect(
      Double(count.weightBytes) == cost.weightBytes, "\(what)", sourceLocation: sourceLocation)
  }
}
