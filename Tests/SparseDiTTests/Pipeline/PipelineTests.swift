import Tensors
import Testing

@testable import SparseDiT

/// Whole runs against diffusers' pipelines: prompt and seed to pixels.
@Suite struct PipelineTests {
  @Test(arguments: GoldenData.pixart)
  func drawsWhatDiffusersDraws(_ name: String) throws {
    let golden = try GoldenData(name)
    let pipeline = try Pipeline(
      model: ModelFolder(directory: golden.path),
      options: PipelineOptions(precision: .f32, threads: 2))
    for (index, run) in golden.runs.enumerated() {
      let result = try pipeline.generate(
        GenerationRequest(
          prompt: run.prompt, negativePrompt: run.negativePrompt, width: run.width,
          height: run.height, steps: run.steps, guidanceScale: run.guidanceScale,
          seed: run.seed, count: run.count, cleansCaptions: run.asByDefault ?? false,
          keepsExactSize: run.asByDefault == nil))
      let (expected, shape) = try golden.bytes("run.\(index).pixels")
      #expect(shape == [run.count, run.height, run.width, 3])
      let actual = result.images.flatMap(\.pixels)
      let differences = zip(actual, expected).map { abs(Int($0) - Int($1)) }
      #expect(actual.count == expected.count)
      // Rounding to 8 bits alone moves a value that lies between two; steps amplify the rest.
      #expect(differences.max() ?? 0 <= 3, "\(name) run \(index)")
      #expect(Double(differences.reduce(0, +)) / Double(expected.count) <= 0.5)
      #expect(result.seeds == (0..<run.count).map { run.seed + UInt64($0) })
    }
  }
}
