import Tensors
import Testing

@testable import SparseDiT

/// What a plan makes of a prompt and a size for whom; what is drawn then, `PipelineTests` compares with
/// diffusers.
@Suite struct DiffusersDefaultsTests {
  private static let format = NumberFormat(.f32, activations: .f32)

  private static func outline(_ name: String) throws -> ModelOutline {
    try ModelOutline(ModelFolder(directory: GoldenData.root.appending(path: name).path))
  }

  private static func sides(_ model: ModelOutline, _ request: GenerationRequest) throws -> [Int] {
    let sides = try model.plan(request, format: format).sides
    return [sides.width, sides.height, sides.drawnWidth, sides.drawnHeight]
  }

  /// Width and height asked for; width and height of the nearest bin. By hand from diffusers' table:
  /// 3:2 is 0.667 and nearest to 0.68, 1:1 is 1.0, 9:1 is beyond the last one, 4.0.
  @Test(
    arguments: [
      ("pixart-defaults", 300, 200, 304, 208), ("pixart-defaults", 7, 7, 256, 256),
      ("pixart-defaults", 1, 9, 128, 512), ("pixart-sigma", 300, 200, 1216, 832),
      ("pixart-sigma", 65_500, 1, 2048, 512),
    ])
  func drawsAtASizeOfTheTraining(
    name: String, width: Int, height: Int, drawnWidth: Int, drawnHeight: Int
  ) throws {
    let model = try Self.outline(name)
    var request = GenerationRequest(width: width, height: height)
    let sides = try Self.sides(model, request)
    #expect(sides == [width, height, drawnWidth, drawnHeight])
    let plan = try model.plan(request, format: Self.format)
    #expect(plan.grid == Grid(height: drawnHeight / 16, width: drawnWidth / 16))
    #expect((plan.latentWidth, plan.latentHeight) == (drawnWidth / 8, drawnHeight / 8))
    request.keepsExactSize = true
    #expect(throws: SparseDiTError.self) { try Self.sides(model, request) }
    (request.width, request.height) = (304, 208)
    #expect(try Self.sides(model, request) == [304, 208, 304, 208])
  }

  /// Memory is that of the size that is drawn, and of the picture behind it.
  @Test func countsWhatIsDrawn() throws {
    let model = try Self.outline("pixart-defaults")
    func plan(_ width: Int, _ height: Int, exact: Bool) throws -> GenerationPlan {
      try model.plan(
        GenerationRequest(width: width, height: height, keepsExactSize: exact),
        format: Self.format)
    }
    let exact = try plan(256, 256, exact: true)
    #expect(try plan(256, 256, exact: false).peakBytes == exact.peakBytes)
    let small = try plan(64, 64, exact: false)
    #expect(small.workload().latentWidth == 32)
    // f32 and u8 of three channels for the small picture in place of u8 for the large one.
    #expect(small.peakBytes - exact.peakBytes == 3 * (5 * 64 * 64 - 256 * 256))
    let large = try plan(4096, 4096, exact: false)
    #expect(large.peakBytes - exact.peakBytes == 3 * (5 * 4096 * 4096 - 256 * 256))
  }

  @Test func othersDrawWhatTheyAreAskedFor() throws {
    let request = GenerationRequest(width: 96, height: 64)
    let models = try [
      ModelOutline(.builtIn()), Self.outline("pixart-alpha"), Self.outline("dit-original-256"),
      ModelOutline(PublishedModel(named: "PixArt-XL/2")),
    ]
    for model in models {
      #expect(try Self.sides(model, request) == [96, 64, 96, 64], "\(model.name)")
    }
    for model in models where model.family != .pixArtAlpha || model.name == "default model" {
      #expect(!model.defaults.cleansCaptions, "\(model.name)")
    }
  }

  @Test func theMistakesOfSizesKeepTheirNames() throws {
    let model = try Self.outline("pixart-defaults")
    func message(_ request: GenerationRequest) -> String {
      let error = #expect(throws: SparseDiTError.self) { try Self.sides(model, request) }
      return error.map(\.description) ?? ""
    }
    #expect(message(GenerationRequest(width: 0)).contains("width 0 is not a positive number"))
    #expect(message(GenerationRequest(height: -7)).contains("height -7 is not a positive number"))
    #expect(message(GenerationRequest(width: 65_501)).contains("above the limit of 65500"))
    #expect(
      message(GenerationRequest(width: 100, keepsExactSize: true))
        .contains("width 100 is not a positive multiple of 16"))
  }

  /// Both prompts, only where they are to be.
  @Test func cleansThePromptsOfUsersModels() throws {
    let (prompt, negative) = ("A (red) house,4k", "#LOW quality")
    func ids(_ model: ModelOutline, _ cleans: Bool) throws -> [[Int32]] {
      let plan = try model.plan(
        GenerationRequest(prompt: prompt, negativePrompt: negative, cleansCaptions: cleans),
        format: Self.format)
      return try #require(plan.condition?.text).map(\.ids)
    }
    func expected(_ model: ModelOutline, _ texts: [String]) throws -> [[Int32]] {
      let tokenizer = try #require(try model.readTokenizer())
      return try texts.map { try tokenizer.encode($0, maxLength: model.promptTokens).ids }
    }
    let plain = ["#low quality", "a (red) house,4k"]
    for name in ["pixart-alpha", "pixart-sigma"] {
      let model = try Self.outline(name)
      #expect(try ids(model, true) == expected(model, ["low quality", "a red house, 4k"]))
      #expect(try ids(model, false) == expected(model, plain))
    }
    let inside = try ModelOutline(.builtIn())
    #expect(try ids(inside, true) == expected(inside, plain))
  }

  /// What the picture's metadata says of it.
  @Test func thePictureSaysHowItWasDrawn() throws {
    let pipeline = try Pipeline(
      model: ModelFolder(directory: GoldenData("pixart-defaults").path),
      options: PipelineOptions(precision: .f32, threads: 1))
    var request = GenerationRequest(prompt: "a cat", width: 120, height: 77, steps: 1)
    let binned = try pipeline.generate(request)
    #expect((binned.images[0].width, binned.images[0].height) == (120, 77))
    #expect((binned.report.drawnWidth, binned.report.drawnHeight) == (304, 208))
    #expect(binned.parameters(of: 0).contains("Size: 120x77"))
    #expect(binned.parameters(of: 0).contains("Drawn size: 304x208, Clean caption: true"))
    request.keepsExactSize = true
    request.cleansCaptions = false
    (request.width, request.height) = (304, 208)
    let exact = try pipeline.generate(request)
    #expect(!exact.parameters(of: 0).contains("Drawn size"))
    #expect(!exact.parameters(of: 0).contains("Clean caption"))
    // The words are the same to both, so the small picture is the large one, resized: each of its
    // pixels lies between those that it is made of, one more where both are rounded.
    let low = exact.images[0].pixels.min() ?? 0
    let high = exact.images[0].pixels.max() ?? 0
    #expect(binned.images[0].pixels.allSatisfy { $0 >= low && $0 <= high })
  }
}
