import Testing

@testable import SparseDiT
@testable import Tensors

@Suite("DDPM, DDIM and Euler equal diffusers' schedulers")
struct SamplerTests {
  @Test("timesteps, noise levels and the scale of the initial noise")
  func plans() throws {
    let configs = try SamplingGolden.configs(of: "samplers")
    for golden in try SamplingGolden.samplers().plans {
      let config = try #require(configs["plans/" + golden.name])
      let plan = try makeSampler(config).plan(steps: golden.steps)
      expectTimesteps(plan.timesteps, golden.timesteps, golden.name)
      expectClose(plan.initialNoiseScale, golden.initialNoiseScale, golden.name)
      guard let sigmas = golden.sigmas.map(floats(hex:)) else { continue }
      #expect(plan.sigmas.count == sigmas.count, "\(golden.name)")
      for (sigma, expected) in zip(plan.sigmas, sigmas) {
        expectClose(sigma, expected, golden.name)
      }
    }
  }

  @Test("every step of whole runs, with the noise of one generator after the other")
  func runs() throws {
    let configs = try SamplingGolden.configs(of: "samplers")
    for golden in try SamplingGolden.samplers().runs {
      let config = try #require(configs["runs/" + golden.name])
      let sampler = try makeSampler(config, eta: golden.eta)
      let plan = try sampler.plan(steps: golden.steps)
      expectTimesteps(plan.timesteps, golden.timesteps, golden.name)
      var generator = TorchGenerator(seed: golden.seed)
      let noise = generator.randn(count: floats(hex: golden.start).count)
      var sample = noise.map { $0 * plan.initialNoiseScale }
      expectError(sample, golden.start, "\(golden.name), noise")
      var run = sampler.start(plan, generator: generator)
      for (index, expected) in golden.samples.enumerated() {
        if let input = golden.inputs?[index] {
          expectError(modelInput(run, sample), input, "\(golden.name), input \(index)")
        } else {
          #expect(modelInput(run, sample) == sample)
        }
        try step(&run, floats(hex: golden.outputs[index]), &sample)
        // diffusers is f32 too, with the same operations in the same order; torch's vectorised
        // square roots and exponentials may differ in the last bit.
        expectError(sample, expected, "\(golden.name), step \(index)")
      }
      // And against the same run in f64, with the error of diffusers' own f32 as tolerance.
      let error = relativeError(sample, golden.lastInF64)
      #expect(error <= max(1e-6, 1.5 * golden.errorOfF32), "\(golden.name): \(error)")
    }
  }

  @Test("a run that ends without noise lands on the x₀ estimate", arguments: SamplerKind.allCases)
  func denoisedIsTheEnd(kind: SamplerKind) throws {
    let sampler = try picked(kind, predictsVariance: false)
    let plan = try sampler.plan(steps: 4)
    var run = sampler.start(plan, generator: TorchGenerator(seed: 3))
    #expect(run.denoised.isEmpty)
    var sample: [Float] = [0.5, -1, 2, 0.25, 3]
    for index in 0..<4 {
      #expect(run.index == index)
      try step(&run, [0.1, 0.2, -0.3, 0.4, 0.5], &sample)
    }
    // One rounding of x₀'s weight, and Euler's difference and its undoing.
    #expect(relativeError(run.denoised, sample.map(Double.init)) < 1e-6)
  }

  @Test(
    "steps beyond the plan, and counts that differ, are errors", arguments: SamplerKind.allCases)
  func misuse(kind: SamplerKind) throws {
    for predictsVariance in [false, true] {
      let sampler = try picked(kind, predictsVariance: predictsVariance)
      let ratio = sampler.usesLearnedVariance ? 2 : 1
      var run = sampler.start(try sampler.plan(steps: 2), generator: TorchGenerator(seed: 3))
      var sample: [Float] = [1, 2, 3]
      #expect(throws: SparseDiTError.self) { try step(&run, [1, 2], &sample) }
      #expect(throws: SparseDiTError.self) {
        try step(&run, Array(repeating: 0, count: 3 * (3 - ratio)), &sample)
      }
      #expect(sample == [1, 2, 3])
      let output = [Float](repeating: 0, count: 3 * ratio)
      try step(&run, output, &sample)
      var other: [Float] = [1, 2]
      #expect(throws: SparseDiTError.self) {
        try step(&run, Array(repeating: 0, count: 2 * ratio), &other)
      }
      try step(&run, output, &sample)
      #expect(throws: SparseDiTError.self) { try step(&run, output, &sample) }
      #expect(run.index == 2)
    }
  }

  @Test(
    "step counts that cannot be taken are refused with the limit", arguments: SamplerKind.allCases)
  func stepCounts(kind: SamplerKind) throws {
    let sampler = try picked(kind, predictsVariance: false)
    for count in [0, -1, 1_001] {
      let error = #expect(throws: SparseDiTError.self) { try sampler.plan(steps: count) }
      #expect(error?.description.contains("1 to \(sampler.maxSteps)") == true)
    }
  }

  @Test(
    "every number of steps has falling timesteps that were trained",
    arguments: TimestepSpacing.allCases, [SamplerKind.ddpm, .ddim])
  func everyStepCount(spacing: TimestepSpacing, kind: SamplerKind) throws {
    let sampler = try makeSampler(
      schedulerConfig(
        """
        {"_class_name": "\(kind.className)", "timestep_spacing": "\(spacing.rawValue)",
         "num_train_timesteps": 100}
        """))
    for count in 1...100 {
      let timesteps = try sampler.plan(steps: count).timesteps
      #expect(timesteps.count == count)
      #expect(timesteps.allSatisfy { (0..<100).contains($0) })
      #expect(zip(timesteps, timesteps.dropFirst()).allSatisfy { $0 > $1 })
    }
  }

  @Test("an offset beyond the last timestep is refused")
  func offset() throws {
    let sampler = try makeSampler(
      schedulerConfig(#"{"_class_name": "DDIMScheduler", "steps_offset": 1}"#))
    #expect(throws: SparseDiTError.self) { try sampler.plan(steps: 1000) }
    #expect(throws: Never.self) { try sampler.plan(steps: 500) }
  }

  /// A sampler that is chosen in place of PixArt's.
  private func picked(_ kind: SamplerKind, predictsVariance: Bool) throws -> any Sampler {
    try makeSampler(
      schedulerConfig(#"{"_class_name": "DPMSolverMultistepScheduler"}"#), kind: kind,
      predictsVariance: predictsVariance)
  }

  /// Whole timesteps are exact; those between come from logarithms in the Karras schedule.
  private func expectTimesteps(_ timesteps: [Double], _ golden: [Double], _ name: String) {
    #expect(timesteps.count == golden.count, "\(name)")
    for (timestep, expected) in zip(timesteps, golden) {
      let tolerance = expected == expected.rounded() ? 0 : 1e-5 * expected
      #expect(abs(timestep - expected) <= tolerance, "\(name): \(timestep), \(expected)")
    }
  }

  /// Two units in the last place: torch's vectorised square root is not always correctly rounded.
  private func expectClose(_ value: Float, _ expected: Float, _ name: String) {
    #expect(abs(value - expected) <= 2 * expected.ulp, "\(name): \(value), \(expected)")
  }

  private func expectError(_ values: [Float], _ golden: String, _ name: String) {
    let error = relativeError(values, floats(hex: golden).map(Double.init))
    #expect(error <= 1e-6, "\(name): \(error)")
  }
}
