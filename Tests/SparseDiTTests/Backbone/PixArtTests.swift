import Tensors
import Testing

@testable import SparseDiT

/// The dense backbone against diffusers' `PixArtTransformer2DModel`.
@Suite struct PixArtTests {
  @Test(arguments: GoldenData.pixart, ComputeMode.available)
  func equalsDiffusers(_ name: String, _ mode: ComputeMode) throws {
    let golden = try GoldenData(name)
    let compute = try mode.compute()
    let backbone = try Backbone(
      folder: ModelFolder(directory: golden.path), precision: mode.precision)
    let planner = try BackbonePlanner(.model, config: backbone.config)
    let (features, shape) = try golden.floats("text.embedding")
    let (_, masks) = golden.padded(golden.text)
    let (length, channels) = (shape[1], shape[2])
    for (index, forward) in golden.forwards.enumerated() {
      let text = forward.textRows.flatMap {
        features[$0 * length * channels..<($0 + 1) * length * channels]
      }
      let mask = forward.textRows.flatMap {
        masks[$0 * length..<($0 + 1) * length].map(Float.init)
      }
      let (latents, size) = try golden.floats("forward.\(index).latents")
      let prepared = try backbone.prepareText(
        Tensor(text, [forward.textRows.count, length, channels]), mask: mask,
        sizes: [PictureSize(height: 8 * Double(size[2]), width: 8 * Double(size[3]))], on: compute)
      let grid = try backbone.grid(latentHeight: size[2], latentWidth: size[3])
      let output = try backbone.forward(
        Tensor(latents, Shape(size)), timestep: forward.timestep,
        .text(prepared),
        plan: try planner.plan(for: grid, at: forward.timestep), on: compute)
      let (expected, outputShape) = try golden.floats("forward.\(index).output")
      #expect(output.shape == Shape(outputShape))
      let error = relativeError(output.floats(), expected)
      #expect(error <= mode.tolerance, "\(name) forward \(index)")
    }
  }
}
