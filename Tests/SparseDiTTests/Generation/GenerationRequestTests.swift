import Tensors
import Testing

@testable import SparseDiT

/// What is refused before any work, and with which words.
@Suite struct GenerationRequestTests {
  let pipeline: Pipeline

  init() throws {
    pipeline = try Pipeline(
      model: ModelFolder(directory: GoldenData.root.appending(path: "pixart-alpha").path),
      options: PipelineOptions(precision: .f32, threads: 1))
  }

  @Test func describesTheModel() {
    let info = pipeline.info
    #expect(info.family == "PixArt-alpha")
    #expect((info.defaultWidth, info.defaultHeight) == (128, 128))
    #expect((info.patch, info.latentScale, info.sizeMultiple) == (2, 8, 16))
    #expect((info.latentChannels, info.outputChannels, info.textChannels) == (4, 8, 32))
    #expect((info.maxPromptTokens, info.maxSteps) == (120, 999))
    #expect(info.rates == nil)
    #expect((info.precision, info.threads) == (.f32, 1))
    #expect(info.backboneParameters > 0)
  }

  @Test(
    arguments: [
      (GenerationRequest(width: 0), "width 0 is not"),
      (GenerationRequest(width: -16), "width -16 is not"),
      (GenerationRequest(height: 24), "height 24 is not a positive multiple of 16"),
      (GenerationRequest(width: 65_536), "width 65536 is above the limit"),
      (GenerationRequest(height: 16 << 50), "is above the limit"),
      (GenerationRequest(steps: 0), "0 steps"),
      (GenerationRequest(steps: 1_000_000_000), "1000000000 steps"),
      (GenerationRequest(guidanceScale: .nan), "guidance scale nan"),
      (GenerationRequest(guidanceScale: .infinity), "guidance scale inf"),
      (GenerationRequest(count: 0), "count 0"),
      (GenerationRequest(count: 10_001), "count 10001"),
      (GenerationRequest(prompt: String(repeating: "a", count: 1 << 20)), "1048576 bytes"),
      (
        GenerationRequest(negativePrompt: String(repeating: "a", count: 65_537)),
        "negative prompt"
      ),
      (GenerationRequest(sparsity: .rates(min: 0.5, max: 0.4)), "0.5, 0.4"),
      (GenerationRequest(sparsity: .rates(min: 0.5, max: 0.6)), "at least 10 blocks"),
    ])
  func refuses(_ request: GenerationRequest, _ words: String) {
    for call in [{ _ = try pipeline.generate(request) }, { try pipeline.check(request) }] {
      let error = #expect(throws: SparseDiTError.self) { try call() }
      guard case .invalidArgument(let message) = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
      #expect(message.contains(words), "\(message)")
    }
  }

  @Test func refusesWhatDoesNotFitInMemory() throws {
    let small = try Pipeline(
      model: ModelFolder(directory: GoldenData.root.appending(path: "pixart-alpha").path),
      options: PipelineOptions(precision: .f32, threads: 1, memoryLimit: 40_000_000))
    let error = #expect(throws: SparseDiTError.self) {
      try small.check(GenerationRequest(width: 2048, height: 4096))
    }
    guard case .outOfMemory(let message) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(message.contains("2048×4096"))
    #expect(message.contains("40000000 bytes"))
    // Many pictures are held only where they are kept.
    var many = GenerationRequest(width: 64, height: 64, count: 1000)
    #expect(throws: SparseDiTError.self) { try small.check(many) }
    many.keepsImages = false
    #expect(throws: Never.self) { try small.check(many) }
    // The largest picture that a JPEG can hold fits on no machine that runs tests.
    #expect(throws: SparseDiTError.self) {
      try pipeline.check(GenerationRequest(width: 65_520, height: 65_520, count: 10_000))
    }
  }

  @Test(arguments: [
    (PipelineOptions(threads: 0), "threads"), (PipelineOptions(threads: 1025), "1025"),
    (PipelineOptions(memoryLimit: -1), "memory limit"),
  ])
  func refusesOptions(_ options: PipelineOptions, _ words: String) throws {
    let folder = try ModelFolder(
      directory: GoldenData.root.appending(path: "pixart-alpha").path)
    let error = #expect(throws: SparseDiTError.self) {
      try Pipeline(model: folder, options: options)
    }
    guard case .invalidArgument(let message) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(message.contains(words))
  }

  /// f32 files at bf16 must be converted, and at f32 need not.
  @Test func countsConvertedWeights() throws {
    let folder = try ModelFolder(
      directory: GoldenData.root.appending(path: "pixart-alpha").path)
    let options = PipelineOptions(precision: .f32, threads: 1, memoryLimit: 1000)
    #expect(try Pipeline(model: folder, options: options).model.convertedBytes == 0)
    let error = #expect(throws: SparseDiTError.self) {
      try Pipeline(
        model: folder, options: PipelineOptions(precision: .bf16, threads: 1, memoryLimit: 1000))
    }
    guard case .outOfMemory(let message) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(message.contains("1000 bytes"))
  }

  /// What is estimated must cover the tensors that are used, and not be far above them. The block that
  /// the one thread works on comes on top: 512 KiB of scores, and half of that where they are bf16.
  @Test(arguments: [(128, 128, 4.5), (64, 256, 4.5), (256, 192, 1.0)])
  func estimatesMemory(_ width: Int, _ height: Int, _ guidance: Double) throws {
    for precision in Precision.allCases {
      let fresh = try Pipeline(
        model: ModelFolder(directory: GoldenData.root.appending(path: "pixart-alpha").path),
        options: PipelineOptions(precision: precision, threads: 1))
      let request = GenerationRequest(
        prompt: "a cat", width: width, height: height, steps: 2, guidanceScale: guidance)
      let estimate = try fresh.plan(request).peakBytes
      let used = try fresh.generate(request).report.peakBytes
      #expect(estimate + (768 << 10) >= used, "\(precision)")
      #expect(estimate <= 4 * used, "\(precision)")
    }
  }
}
