import Tensors
import Testing

@testable import SparseDiT

/// Whole runs with every sampler, whose noise goes on from that of the initial latents.
@Suite struct PipelineSamplerTests {
  @Test func pickedSamplersDrawWhatDiffusersDraws() throws {
    let pipeline = try pipeline(at: GoldenData("pixart-alpha").path)
    for golden in try SamplingGolden.pipelines().runs where golden.sampler != "ddpm" {
      let kind = try #require(SamplerKind(rawValue: golden.sampler))
      try expectPixels(of: golden, pipeline, kind)
    }
  }

  /// diffusers' PixArt pipelines drop the model's variance, which a picked DDPM would use.
  @Test func aFolderMayNameAnotherSampler() throws {
    let golden = try #require(SamplingGolden.pipelines().runs.first { $0.sampler == "ddpm" })
    // As in diffusers, the class in model_index.json counts, not the one that wrote the settings.
    for saved in ["DDPMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler"] {
      var model = try MemoryModel(golden: "pixart-alpha")
      try model.edit("model_index.json", ["scheduler": ["diffusers", "DDPMScheduler"]])
      model.files["scheduler/scheduler_config.json"] = Array(
        """
        {"_class_name": "\(saved)", "timestep_spacing": "linspace", "clip_sample": false,
         "variance_type": "fixed_small"}
        """.utf8)
      let folder = model.folder()
      try expectPixels(
        of: golden,
        Pipeline(model: folder, options: PipelineOptions(precision: .f32, threads: 2)), nil)
      let plan = try ModelOutline(folder).plan(
        GenerationRequest(steps: 4), format: NumberFormat(onThisMachine: .f32))
      // linspace(0, 999, 4) of DDPM.
      #expect(plan.timesteps == [999, 666, 333, 0])
    }
  }

  @Test func learnedVarianceChangesThePicture() throws {
    let pipeline = try pipeline(at: GoldenData("pixart-alpha").path)
    var request = GenerationRequest(
      prompt: "a red cube", width: 32, height: 48, steps: 5, seed: 11, sampler: .ddpm)
    let learned = try pipeline.generate(request)
    #expect(learned.report.sampler == "DDPM")
    let golden = try #require(SamplingGolden.pipelines().runs.first { $0.sampler == "ddpm" })
    #expect(learned.images[0].pixels != Array(bytes(hex: golden.pixels).prefix(32 * 48 * 3)))
    #expect(try pipeline.generate(request).images[0].pixels == learned.images[0].pixels)
    request.guidanceScale = 1
    #expect(throws: Never.self) { try pipeline.generate(request) }
    request.eta = 0.5
    let error = #expect(throws: SparseDiTError.self) { try pipeline.check(request) }
    #expect(error?.description.contains("eta 0.5") == true)
  }

  private func expectPixels(
    of golden: SamplingGolden.PipelineRun, _ pipeline: Pipeline, _ kind: SamplerKind?
  ) throws {
    let result = try pipeline.generate(
      GenerationRequest(
        prompt: golden.prompt, width: golden.width, height: golden.height, steps: golden.steps,
        seed: golden.seed, count: golden.count, sampler: kind, eta: golden.eta,
        cleansCaptions: false, keepsExactSize: true))
    let actual = result.images.flatMap(\.pixels)
    let expected = bytes(hex: golden.pixels)
    try #require(actual.count == expected.count)
    let differences = zip(actual, expected).map { abs(Int($0) - Int($1)) }
    // As for the folder's own sampler: rounding to 8 bits moves values that lie between two.
    #expect(differences.max() ?? 0 <= 3, "\(golden.sampler), eta \(golden.eta)")
    #expect(Double(differences.reduce(0, +)) / Double(expected.count) <= 0.5)
  }

  private func pipeline(at path: String) throws -> Pipeline {
    try Pipeline(
      model: ModelFolder(directory: path), options: PipelineOptions(precision: .f32, threads: 2))
  }

  private func bytes(hex text: String) -> [UInt8] {
    let digits = Array(text.utf8)
    func value(_ digit: UInt8) -> UInt8 { digit > 0x39 ? digit - 0x57 : digit - 0x30 }
    return stride(from: 0, to: digits.count, by: 2).map {
      value(digits[$0]) << 4 | value(digits[$0 + 1])
    }
  }
}
