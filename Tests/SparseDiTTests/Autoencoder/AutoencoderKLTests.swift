import Tensors
import Testing

@testable import SparseDiT

@Suite struct AutoencoderKLTests {
  @Test(arguments: GoldenData.pixart, ComputeMode.available)
  func equalsDiffusers(_ name: String, _ mode: ComputeMode) throws {
    let golden = try GoldenData(name)
    let decoder = try AutoencoderKL(
      folder: ModelFolder(directory: golden.path), precision: mode.precision)
    let compute = try mode.compute()
    for index in 0..<golden.decodeCount {
      let (latents, shape) = try golden.floats("decode.\(index).latents")
      let image = try decoder.decode(Tensor(latents, Shape(shape)), on: compute)
      let (expected, imageShape) = try golden.floats("decode.\(index).image")
      #expect(image.shape == Shape(imageShape))
      #expect(relativeError(image.floats(), expected) <= mode.tolerance, "\(name) decode \(index)")
    }
  }
}
