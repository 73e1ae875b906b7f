import Tensors
import Testing

@testable import SparseDiT

/// The class-conditional backbone: dense against diffusers' `DiTTransformer2DModel`, dense and sparse
/// against the code of SparseDiT's authors.
@Suite struct DiTTests {
  @Test(arguments: ClassGolden.diffusers + ClassGolden.original, ComputeMode.available)
  func equalsItsReference(_ name: String, _ mode: ComputeMode) throws {
    let golden = try ClassGolden(name)
    let compute = try mode.compute()
    let backbone = try Backbone(folder: golden.folder(), precision: mode.precision)
    let planner = try BackbonePlanner(.model, config: backbone.config)
    #expect(!golden.forwards.isEmpty)
    for (index, forward) in golden.forwards.enumerated() {
      let (latents, size) = try golden.tensors.floats("forward.\(index).latents")
      let grid = try backbone.grid(latentHeight: size[2], latentWidth: size[3])
      let plan = try planner.plan(for: grid, at: forward.timestep)
      let output = try backbone.forward(
        Tensor(latents, Shape(size)), timestep: forward.timestep, .classes(forward.labels),
        plan: plan, on: compute)
      let (expected, shape) = try golden.tensors.floats("forward.\(index).output")
      #expect(output.shape == Shape(shape))
      let error = relativeError(output.floats(), expected)
      #expect(error <= mode.tolerance, "\(name) forward \(index)")
    }
  }

  /// The authors' public runs: 16×16 and 32×32 tokens, 8×8 of them in the middle.
  @Test(arguments: [("dit-original-256", 16, 1, 3), ("dit-original-512", 32, 2, 2)])
  func hasTheLayoutOfThePublicRuns(
    _ name: String, _ side: Int, _ bottom: Int, _ top: Int
  ) throws {
    let backbone = try Backbone(folder: ClassGolden(name).folder(), precision: .f32)
    let planner = try BackbonePlanner(.model, config: backbone.config)
    let dense = Grid(height: side, width: side)
    for timestep in [0.0, 500, 999] {
      let plan = try planner.plan(for: dense, at: timestep)
      #expect(plan.sparse == Grid(height: 8, width: 8))
      #expect(plan.roles.count == 28)
      let pooling = [BlockRole](repeating: .poolingformer, count: bottom)
      #expect(Array(plan.roles.prefix(bottom + 1)) == pooling + [.generation])
      #expect(plan.roles.suffix(top + 1).allSatisfy { $0 == .dense })
      #expect(plan.roles.dropLast(top + 1).last == .recovery)
    }
  }

  /// Blocks with embeddings of their own need them all; copies of one need it once.
  @Test func keepsOneOfManyEqualEmbeddings() throws {
    for (name, count) in [("dit-alone", 3), ("dit-published", 1), ("dit-original-dense", 1)] {
      let backbone = try Backbone(folder: ClassGolden(name).folder(), precision: .f32)
      let adaLN = try #require(backbone.adaLN as? AdaLNZero)
      #expect(adaLN.embeddings.count == count, "\(name)")
      #expect(adaLN.blocks.count == backbone.config.depth)
    }
  }

  @Test func refusesConditionsOfAnotherKind() throws {
    let backbone = try Backbone(folder: ClassGolden("dit-half").folder(), precision: .f32)
    let compute = try Compute(threads: 1, precision: .f32)
    let latents = try compute.empty([2, 4, 9, 9], .f32)
    let plan = try BackbonePlanner(.model, config: backbone.config)
      .plan(for: Grid(height: 3, width: 3), at: 0)
    let text = PreparedText(
      batch: 2, length: 0, keys: [], values: [], bias: nil, sizes: [])
    for (condition, words) in [
      (Condition<PreparedText, [Int]>.classes([1]), "1 class labels for 2 pictures"),
      (.classes([1, 1001]), "1001 is not in 0 to 1000"), (.classes([-1, 0]), "-1 is not"),
      (.text(text), "condition: this model draws from a class, not from text"),
    ] {
      let error = #expect(throws: SparseDiTError.self) {
        try backbone.forward(latents, timestep: 0, condition, plan: plan, on: compute)
      }
      guard case .invalidArgument(let message) = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
      #expect(message.contains(words), "\(message)")
    }
  }
}
