import Foundation
import Testing

@testable import SparseDiT
@testable import Tensors

@Suite("DPM-Solver equals diffusers' DPMSolverMultistepScheduler")
struct DPMSolverMultistepTests {
  /// A deterministic sampler draws nothing.
  private let unused = TorchGenerator(seed: 0)

  @Test("timesteps and noise levels")
  func plans() throws {
    let configs = try SamplingGolden.configs()
    for golden in try SamplingGolden.solver().plans {
      let config = try #require(configs["plans/" + golden.name])
      let plan = try DPMSolverMultistep(config: config).plan(steps: golden.steps)
      #expect(plan.timesteps == golden.timesteps, "\(golden.name)")
      expectSigmas(plan.sigmas, golden.sigmas, golden.name)
    }
  }

  @Test("every step of whole runs on random predictions")
  func runs() throws {
    let configs = try SamplingGolden.configs()
    for golden in try SamplingGolden.solver().runs {
      let solver = try DPMSolverMultistep(config: #require(configs["runs/" + golden.name]))
      let plan = try solver.plan(steps: golden.steps)
      #expect(plan.timesteps == golden.timesteps, "\(golden.name)")
      expectSigmas(plan.sigmas, golden.sigmas, golden.name)
      var run = solver.start(plan, generator: unused)
      var sample = floats(hex: golden.start)
      for (index, expected) in golden.samples.enumerated() {
        #expect(run.index == index)
        try step(&run, floats(hex: golden.outputs[index]), &sample)
        // diffusers is f32 too, with the same operations in the same order: what may differ are the
        // last bits of log and exp in the coefficients, which differences of logarithms enlarge.
        let error = relativeError(sample, floats(hex: expected).map(Double.init))
        #expect(error <= 1e-6, "\(golden.name), step \(index): \(error)")
      }
      // And against the same run in f64, with the error of diffusers' own f32 as tolerance.
      let error = relativeError(sample, golden.lastInF64)
      #expect(error <= max(1e-6, 1.5 * golden.errorOfF32), "\(golden.name): \(error)")
    }
  }

  @Test("the last step of a run that ends at zero lands on the x₀ estimate")
  func denoisedIsTheEnd() throws {
    for prediction in ["epsilon", "v_prediction", "sample"] {
      let config = try schedulerConfig(#"{"prediction_type": "\#(prediction)"}"#)
      let solver = try DPMSolverMultistep(config: config)
      var run = solver.start(try solver.plan(steps: 4), generator: unused)
      #expect(run.denoised.isEmpty)
      var sample: [Float] = [0.5, -1, 2, 0.25, 3]
      for _ in 0..<4 { try step(&run, [0.1, 0.2, -0.3, 0.4, 0.5], &sample) }
      #expect(run.denoised == sample)
    }
  }

  @Test("the noise-predicting form gives the same x₀ estimate as the data-predicting one")
  func denoisedOfBothForms() throws {
    var estimates: [[Float]] = []
    for algorithm in ["dpmsolver", "dpmsolver++"] {
      let config = try schedulerConfig(
        #"{"algorithm_type": "\#(algorithm)", "final_sigmas_type": "sigma_min"}"#)
      let solver = try DPMSolverMultistep(config: config)
      var run = solver.start(try solver.plan(steps: 6), generator: unused)
      var sample: [Float] = [0.5, -1, 2]
      try step(&run, [0.1, 0.2, -0.3], &sample)
      estimates.append(run.denoised)
    }
    #expect(estimates[0] == estimates[1])
  }

  @Test("a perfect prediction of a single picture leads there from any noise")
  func findsTheData() throws {
    // ε that points at x₀ makes every x₀ estimate x₀ itself, up to the division by a small α.
    let data: [Float] = [0.3, -0.7, 1.1, 0]
    let solver = try DPMSolverMultistep(config: schedulerConfig("{}"))
    let plan = try solver.plan(steps: 20)
    var run = solver.start(plan, generator: unused)
    var sample: [Float] = [1, -1, 0.5, 2]
    for index in 0..<20 {
      let ratio = plan.sigmas[index]
      let alpha = 1 / (ratio * ratio + 1).squareRoot()
      let noise = zip(sample, data).map { ($0 - alpha * $1) / (ratio * alpha) }
      try step(&run, noise, &sample)
    }
    #expect(relativeError(sample, data.map(Double.init)) < 1e-5)
  }

  @Test(
    "steps that cannot be taken are refused with the limit",
    arguments: [0, -1, 1_000, 1_000_000_000])
  func steps(count: Int) throws {
    let solver = try DPMSolverMultistep(config: schedulerConfig("{}"))
    let error = #expect(throws: SparseDiTError.self) { try solver.plan(steps: count) }
    #expect(error == .invalidArgument("\(count) steps: this model's sampler takes 1 to 999"))
  }

  @Test(
    "every number of steps up to the limit has falling noise",
    arguments: [TimestepSpacing.linspace, .leading])
  func everyStepCount(spacing: TimestepSpacing) throws {
    let config = try schedulerConfig(
      #"{"timestep_spacing": "\#(spacing.rawValue)", "num_train_timesteps": 100}"#)
    let solver = try DPMSolverMultistep(config: config)
    #expect(solver.maxSteps == 99)
    for count in 1...solver.maxSteps {
      let plan = try solver.plan(steps: count)
      #expect(plan.steps == count && plan.sigmas.count == count + 1)
      #expect(zip(plan.timesteps, plan.timesteps.dropFirst()).allSatisfy { $0 > $1 })
    }
  }

  @Test("a plan that would stand still is refused")
  func repeatedNoiseLevel() throws {
    let config = try schedulerConfig(#"{"timestep_spacing": "leading", "steps_offset": 1}"#)
    #expect(throws: SparseDiTError.self) {
      try DPMSolverMultistep(config: config).plan(steps: 999)
    }
  }

  @Test("steps beyond the plan, and counts that differ, are errors that leave the sample alone")
  func misuse() throws {
    let solver = try DPMSolverMultistep(config: schedulerConfig("{}"))
    var run = solver.start(try solver.plan(steps: 2), generator: unused)
    var sample: [Float] = [1, 2, 3]
    #expect(throws: SparseDiTError.self) { try step(&run, [1, 2], &sample) }
    try step(&run, [0, 0, 0], &sample)
    var other: [Float] = [1, 2]
    #expect(throws: SparseDiTError.self) { try step(&run, [1, 2], &other) }
    #expect(other == [1, 2])
    try step(&run, [0, 0, 0], &sample)
    let end = sample
    #expect(throws: SparseDiTError.self) { try step(&run, [0, 0, 0], &sample) }
    #expect(sample == end)
    #expect(run.index == 2)
  }

  /// Two units in the last place: torch's vectorised square root is not always correctly rounded, and
  /// the betas of a zero terminal SNR go through it once more.
  private func expectSigmas(_ sigmas: [Float], _ golden: String, _ name: String) {
    let expected = floats(hex: golden)
    #expect(sigmas.count == expected.count, "\(name)")
    for (index, pair) in zip(sigmas, expected).enumerated() {
      #expect(abs(pair.0 - pair.1) <= 2 * pair.1.ulp, "\(name), sigma \(index)")
    }
  }
}
