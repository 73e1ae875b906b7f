import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// The sparse backbone against its PyTorch reference, which is written from the paper.
@Suite struct SparseBackboneTests {
  static let cases = [
    "sparse-square-linear", "sparse-odd-quarters", "sparse-constant-positions", "sparse-masks",
    "sparse-conditions",
  ]

  @Test(arguments: cases, ComputeMode.available)
  func equalsReference(_ name: String, _ mode: ComputeMode) throws {
    let golden = try SparseGolden(name)
    let compute = try mode.compute()
    let backbone = try golden.backbone(mode.precision)
    let text = try golden.text(backbone, compute)
    let latents = try golden.tensor("latents")
    let grid = try backbone.grid(
      latentHeight: latents.shape[2], latentWidth: latents.shape[3])
    let outputs = try golden.outputs
    #expect(outputs.count >= 2)
    for (output, timestep, rate) in outputs {
      let sparsity: SparsityChoice = rate.map { .rates(min: $0, max: $0) } ?? .model
      let plan = try BackbonePlanner(sparsity, config: backbone.config).plan(
        for: grid, at: timestep)
      let actual = try backbone.forward(
        latents, timestep: timestep, .text(text), plan: plan, on: compute)
      let error = relativeError(actual.floats(), try golden.tensor(output).floats())
      #expect(error <= mode.tolerance, "\(name) \(output)")
    }
  }
}
