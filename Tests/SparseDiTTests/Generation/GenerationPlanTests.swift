import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// A request becomes a plan once, and the plan asks for what it needs.
@Suite struct GenerationPlanTests {
  /// Of the prompts of a request, with guidance, two are read; without it one.
  @Test(arguments: [(4.5, 2), (1, 1)])
  func aRequestIsPlannedOnceAndAPromptTokenizedOnce(_ guidance: Double, _ prompts: Int) throws {
    let pipeline = try Pipeline(
      model: ModelFolder(directory: GoldenData("pixart-velocity").path),
      options: PipelineOptions(precision: .f32, threads: 1))
    let tokenizer = try #require(pipeline.model.condition.text?.tokenizer)
    let plans = pipeline.model.outline.plans
    let request = GenerationRequest(
      prompt: "a cat", negativePrompt: "two dogs", width: 64, height: 32, steps: 2,
      guidanceScale: guidance, count: 2)
    func expectOnce(_ what: String, _ work: () throws -> Void) throws {
      let before = (plans.value, tokenizer.uses.value)
      try work()
      #expect(plans.value == before.0 + 1, "\(what)")
      #expect(tokenizer.uses.value == before.1 + prompts, "\(what)")
    }
    var pictures: [[RGBImage]] = []
    try expectOnce("drawn") { pictures.append(try pipeline.generate(request).images) }
    // As the command line does: everything is checked before the first picture.
    try expectOnce("checked, then drawn") {
      let plan = try pipeline.plan(request)
      pictures.append(try pipeline.generate(plan).images)
    }
    try expectOnce("checked") { try pipeline.check(request) }
    try expectOnce("counted") { _ = try pipeline.cost(of: request) }
    #expect(pictures[0] == pictures[1] && pictures[0].count == 2)
  }

  @Test func asksAFunctionOnceForEachTimestep() throws {
    let pipeline = try ClassPipelineTests.pipeline("dit-original-256")
    let request = GenerationRequest(classLabel: 1, width: 48, height: 32, steps: 6, sampler: .euler)
    let caller = pthread_self()
    var asked: [Int] = []
    let density: TokenDensity = { timestep, picture in
      #expect(pthread_equal(caller, pthread_self()) != 0)
      #expect(picture == Grid(height: 2, width: 3))
      asked.append(timestep)
      return timestep < 500 ? .rate(Double(timestep) / 1000) : .grid(height: 1, width: 2)
    }
    let result = try pipeline.generate(request, asking: density)
    // linspace(0, 999, 6), rounded down.
    #expect(asked == [999, 799, 599, 399, 199, 0])
    #expect(result.report.tokens == [2, 2, 2, 4, 6, 6])
    guard case .table(let table) = result.report.request.sparsity else {
      Issue.record("\(result.report.request.sparsity)")
      return
    }
    #expect(table.rows.map(\.timestep) == asked.reversed())
    #expect(table.density(at: 199.8) == .rate(0.199))
    #expect(table.density(at: 599.4) == .grid(height: 1, width: 2))
    // The table draws what the function did.
    #expect(try pipeline.generate(result.report.request).images == result.images)
  }

  @Test func aFunctionMayRefuse() throws {
    let pipeline = try ClassPipelineTests.pipeline("dit-original-256")
    let oneStep = GenerationRequest(classLabel: 1, width: 32, height: 32, steps: 1)
    #expect(throws: SparseDiTError.cancelled) {
      try pipeline.generate(oneStep, asking: { _, _ throws(SparseDiTError) in throw .cancelled })
    }
    let error = #expect(throws: SparseDiTError.self) {
      try pipeline.generate(oneStep, asking: { _, _ in .rate(1) })
    }
    #expect(error?.description.contains("rate 1.0") == true)
    let table = try pipeline.generate(oneStep, asking: { _, _ in .rate(0) })
      .report.request.sparsity
    #expect(table == .table(try TokenTable([.init(timestep: 0, density: .rate(0))])))
  }

  /// A plan of an outline needs neither prompt nor class, but is not for drawing.
  @Test func anEstimateCannotBeDrawn() throws {
    let pipeline = try ClassPipelineTests.pipeline("dit-alone")
    let format = NumberFormat(.f32, activations: .f32)
    let open = try pipeline.model.outline.plan(GenerationRequest(), format: format)
    #expect(open.condition == nil && open.timesteps.count == 20)
    #expect(throws: SparseDiTError.self) { try pipeline.generate(open) }
    let known = try ModelOutline(PublishedModel(named: "DiT-B/2")).plan(
      GenerationRequest(classLabel: 3), format: format)
    #expect(known.sampling == nil && known.condition == .classes([1000, 3]))
    #expect(throws: SparseDiTError.self) { try pipeline.generate(known) }
  }
}
