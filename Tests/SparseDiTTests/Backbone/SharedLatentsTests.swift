import Tensors
import Testing

@testable import SparseDiT

/// Guidance predicts twice for the same latents. That parts are computed once must not be visible.
@Suite struct SharedLatentsTests {
  @Test(arguments: SmallBackbone.allCases, [SparsityChoice.dense, .rates(min: 0.3, max: 0.8)])
  func sharedLatentsAreLatentsTwice(_ kind: SmallBackbone, _ choice: SparsityChoice) throws {
    let backbone = try kind.load(.f32)
    let compute = try Compute(threads: 1, precision: .f32)
    let condition = try kind.condition(backbone, batch: 2, on: compute)
    let plan = try BackbonePlanner(choice, config: backbone.config)
      .plan(for: Grid(height: 5, width: 7), at: 700)
    var generator = TorchGenerator(seed: 3)
    let values = generator.randn(count: 4 * 10 * 14)
    let (once, twice) = try (
      Tensor(values, [1, 4, 10, 14]), Tensor(values + values, [2, 4, 10, 14])
    )
    let outputs = try [once, twice].map { latents in
      try backbone.forward(latents, timestep: 700, condition, plan: plan, on: compute)
    }
    #expect(outputs[0].shape == [2, 8, 10, 14] && outputs[1].shape == [2, 8, 10, 14])
    // Products of other row counts may sum in another order.
    #expect(relativeError(outputs[0].floats(), outputs[1].floats()) < 1e-6)
    // The conditions differ, so that the test sees if they are exchanged.
    let half = outputs[0].shape.count / 2
    let floats = outputs[0].floats()
    #expect(relativeError([Float](floats[..<half]), [Float](floats[half...])) > 1e-3)
  }
}
