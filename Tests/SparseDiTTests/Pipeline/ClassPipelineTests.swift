import Tensors
import Testing

@testable import SparseDiT

/// Whole runs of models that draw classes: label and seed to pixels.
@Suite struct ClassPipelineTests {
  /// Against diffusers' DiTPipeline, whose stochastic schedulers draw noise for both halves of a
  /// guided batch; and against the authors' loop: learned variance, guidance on three channels.
  @Test(arguments: ClassGolden.diffusers + ["dit-original-256", "dit-original-eight"])
  func drawsWhatItsReferenceDraws(_ name: String) throws {
    let golden = try ClassGolden(name)
    let pipeline = try Self.pipeline(name)
    #expect(!golden.runs.isEmpty)
    for (index, run) in golden.runs.enumerated() {
      let result = try pipeline.generate(run.request)
      let (expected, shape) = try golden.tensors.bytes("run.\(index).pixels")
      #expect(shape == [run.count, run.height, run.width, 3])
      let actual = result.images.flatMap(\.pixels)
      try #require(actual.count == expected.count)
      let differences = zip(actual, expected).map { abs(Int($0) - Int($1)) }
      // As for PixArt: rounding to 8 bits alone moves a value that lies between two.
      #expect(differences.max() ?? 0 <= 3, "\(name) run \(index)")
      #expect(Double(differences.reduce(0, +)) / Double(expected.count) <= 0.5)
    }
  }

  @Test func describesTheModel() throws {
    let info = try Self.pipeline("dit-alone").info
    #expect(info.family == "DiT")
    #expect(info.classCount == 1000)
    #expect(info.classNames[0] == ["tench", "Tinca tinca"])
    #expect((info.textEncoderParameters, info.maxPromptTokens, info.textChannels) == (0, 0, 0))
    #expect((info.defaultWidth, info.sizeMultiple, info.outputChannels) == (128, 16, 8))
    let sparse = try Self.pipeline("dit-original-256").info
    #expect((sparse.family, sparse.classCount, sparse.classNames) == ("SparseDiT", 10, [:]))
    #expect(sparse.rates == (try TokenRates(min: 0.75, max: 0.75)))
  }

  @Test func tellsTheClassInMetadata() throws {
    let named = try Self.pipeline("dit-alone").generate(
      GenerationRequest(classLabel: 0, width: 16, height: 32, steps: 1))
    #expect(named.report.className == "tench, Tinca tinca")
    let text = named.parameters(of: 0)
    #expect(text.hasPrefix("tench, Tinca tinca\nSteps: 1, "), "\(text)")
    #expect(text.contains("Class: 0"))
    let nameless = try Self.pipeline("dit-alone").generate(
      GenerationRequest(classLabel: 5, width: 16, height: 16, steps: 1, guidanceScale: 1))
    #expect(nameless.report.className == nil)
    #expect(nameless.parameters(of: 0).hasPrefix("class 5\n"))
  }

  /// The picture of a class depends on the class, and with guidance also on the embedding of none.
  @Test func drawsAnotherPictureForAnotherClass() throws {
    let pipeline = try Self.pipeline("dit-alone")
    func picture(_ label: Int, _ guidance: Double) throws -> RGBImage {
      try pipeline.generate(
        GenerationRequest(
          classLabel: label, width: 32, height: 48, steps: 3, guidanceScale: guidance)
      ).images[0]
    }
    #expect(try picture(3, 4) == picture(3, 4))
    #expect(try picture(3, 4) != picture(4, 4))
    #expect(try picture(3, 4) != picture(3, 1))
  }

  /// What is estimated must cover the tensors that are used, and not be far above them. The block that
  /// the one thread works on comes on top: 512 KiB of scores, and half of that where they are bf16.
  @Test(arguments: [(128, 128, 4.5), (64, 256, 4.5), (256, 192, 1.0)])
  func estimatesMemory(_ width: Int, _ height: Int, _ guidance: Double) throws {
    for name in ["dit-alone", "dit-original-256"] {
      for precision in Precision.allCases {
        let fresh = try Self.pipeline(name, precision: precision)
        let request = GenerationRequest(
          classLabel: 1, width: width, height: height, steps: 2, guidanceScale: guidance)
        let estimate = try fresh.plan(request).peakBytes
        let used = try fresh.generate(request).report.peakBytes
        #expect(estimate + (768 << 10) >= used, "\(name) \(precision)")
        #expect(estimate <= 4 * used, "\(name) \(precision)")
      }
    }
  }

  static func pipeline(_ name: String, precision: Precision = .f32) throws -> Pipeline {
    try Pipeline(
      model: ClassGolden(name).folder(), options: PipelineOptions(precision: precision, threads: 1))
  }
}
