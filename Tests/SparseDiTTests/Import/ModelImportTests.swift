import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// Checkpoints as others publish them, imported and drawn with, against what diffusers and the authors'
/// code drew with the same weights.
@Suite struct ModelImportTests {
  /// A model, the sources that it is put together from, and the folder of golden values that it must
  /// reproduce.
  struct Case: Sendable, CustomTestStringConvertible {
    let golden: String
    let sources: [String]
    var options = ImportOptions(format: .f32)
    var testDescription: String { sources.joined(separator: " ") }

    /// - Parameter sources: in `Tests/Golden/import`, or behind a slash in `Tests/Golden`.
    init(_ golden: String, _ sources: [String], heads: Int? = nil, grid: Int = 8) {
      self.golden = golden
      self.sources = sources.map { source in
        source.hasPrefix("/")
          ? GoldenData.root.path + source : TorchFiles.golden(source)
      }
      options.heads = heads
      options.sparseGrid = grid
    }
  }

  static let pixart = [
    // Authors' transformer, T5 in two pickles with its tokenizer, autoencoder in torch's older form.
    Case("pixart-half", ["alpha.pth", "t5", "vae"], heads: 1),
    // Authors' Σ without a position table, whose file's name tells the size; parts of other folders.
    Case("pixart-sigma", ["sigma-1024.pth", "/pixart-sigma"], heads: 2),
    // Folders as they are, sharded too.
    Case("pixart-sharded", ["/pixart-sharded"]),
    Case(
      "pixart-alpha",
      [
        "/pixart-alpha/vae", "/pixart-alpha/text_encoder", "/pixart-alpha/tokenizer/spiece.model",
        "/pixart-alpha/transformer",
      ]),
  ]
  static let classes = [
    Case("dit-published", ["dit-published", "/dit-published"]),
    Case("dit-original-eight", ["sparsedit.pt", "/dit-original-eight/vae"], heads: 1, grid: 3),
    Case("dit-original-dense", ["dit.pt", "/dit-published/vae"], heads: 3),
  ]

  private func imported(_ model: Case, _ options: ImportOptions? = nil) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    let model = try ModelImport(model.sources, options: options ?? model.options)
    try model.write(to: folder.path + "/model")
    #expect(try folder.byteCount == model.byteCount)
    return folder
  }

  @Test(arguments: pixart) func drawsPromptsLikeItsSource(_ model: Case) throws {
    let folder = try imported(model)
    let golden = try GoldenData(model.golden)
    let pipeline = try Pipeline(
      model: ModelFolder(directory: folder.path + "/model"),
      options: PipelineOptions(precision: .f32, threads: 2))
    #expect(pipeline.info.maxPromptTokens == golden.maxLength)
    for (index, run) in golden.runs.enumerated() {
      let result = try pipeline.generate(
        GenerationRequest(
          prompt: run.prompt, negativePrompt: run.negativePrompt, width: run.width,
          height: run.height, steps: run.steps, guidanceScale: run.guidanceScale,
          seed: run.seed, count: run.count, cleansCaptions: run.asByDefault ?? false,
          keepsExactSize: run.asByDefault == nil))
      try expectPixels(result, golden.bytes("run.\(index).pixels").values)
    }
    #expect(golden.runs.count > 0)
  }

  @Test(arguments: classes) func drawsClassesLikeItsSource(_ model: Case) throws {
    let folder = try imported(model)
    let golden = try ClassGolden(model.golden)
    let backbone = try Backbone(
      folder: ModelFolder(directory: folder.path + "/model"), precision: .f32)
    let planner = try BackbonePlanner(.model, config: backbone.config)
    let compute = try Compute(threads: 2, precision: .f32)
    for (index, forward) in golden.forwards.enumerated() {
      let (latents, size) = try golden.tensors.floats("forward.\(index).latents")
      let grid = try backbone.grid(latentHeight: size[2], latentWidth: size[3])
      let output = try backbone.forward(
        Tensor(latents, Shape(size)), timestep: forward.timestep, .classes(forward.labels),
        plan: try planner.plan(for: grid, at: forward.timestep), on: compute)
      let expected = try golden.tensors.floats("forward.\(index).output").values
      // The bound of f32 for the folder that the weights come from.
      #expect(relativeError(output.floats(), expected) <= 2e-5)
    }
    let pipeline = try Pipeline(
      model: ModelFolder(directory: folder.path + "/model"),
      options: PipelineOptions(precision: .f32, threads: 2))
    for (index, run) in golden.runs.enumerated() {
      try expectPixels(
        pipeline.generate(run.request), golden.tensors.bytes("run.\(index).pixels").values)
    }
    #expect(golden.forwards.count + golden.runs.count > 0)
  }

  /// Rounding to 8 bits alone moves a value that lies between two; steps amplify the rest.
  private func expectPixels(_ result: GenerationResult, _ expected: [UInt8]) {
    let actual = result.images.flatMap(\.pixels)
    let differences = zip(actual, expected).map { abs(Int($0) - Int($1)) }
    #expect(actual.count == expected.count)
    #expect(differences.max() ?? 0 <= 3)
    #expect(Double(differences.reduce(0, +)) / Double(max(expected.count, 1)) <= 0.5)
  }

  // MARK: Files

  /// Matrices are used where they lie in the file; what is kept in f32 is all that is converted.
  @Test(arguments: [ImportOptions.Format.f32, .bf16]) func opensByMapping(
    _ format: ImportOptions.Format
  ) throws {
    let folder = try imported(Self.pixart[0], ImportOptions(format: format, heads: 1))
    let precision: Precision = format == .f32 ? .f32 : .bf16
    let model = try LoadedModel(
      ModelFolder(directory: folder.path + "/model"), precision: precision, memoryLimit: nil)
    let weights = [
      model.backbone.weights, try #require(model.condition.text).encoder.weights,
      model.autoencoder.weights,
    ].flatMap(\.items).map(\.tensor)
    let converted = weights.filter { $0.dtype == .f32 }.reduce(0) { $0 + 4 * $1.shape.count }
    #expect(model.convertedBytes == (format == .f32 ? 0 : converted))
    #expect(weights.contains { $0.dtype == (format == .f32 ? .f32 : .bf16) })
  }

  @Test(arguments: ImportOptions.Format.allCases)
  func twiceGivesTheSameBytes(_ format: ImportOptions.Format) throws {
    let options = ImportOptions(format: format, heads: 1)
    let (first, second) = (
      try imported(Self.pixart[0], options), try imported(Self.pixart[0], options)
    )
    let files = try first.files
    #expect(files.count == 9)
    #expect(try second.files == files)
    for file in files {
      #expect(
        try Data(contentsOf: first.url(file)) == Data(contentsOf: second.url(file)), "\(file)")
    }
  }

  /// Weights in f16 keep their bits in f16 and f32, and are rounded to nearest even in bf16.
  @Test func keepsTheValues() throws {
    let source = try WeightFile.read(
      GoldenData.root.path + "/pixart-half/transformer/diffusion_pytorch_model.safetensors",
      name: "source")
    for format in ImportOptions.Format.allCases {
      let folder = try imported(Self.pixart[0], ImportOptions(format: format, heads: 1))
      let written = try WeightFile.read(
        folder.path + "/model/transformer/diffusion_pytorch_model.safetensors", name: "written")
      #expect(written.map(\.name) == source.map(\.name))
      for (tensor, original) in zip(written, source) {
        #expect(tensor.shape == original.shape && tensor.dtype == format.storedType)
        let expected = try original.values().map { value in
          guard format == .bf16 else { return value }
          let bits = value.bitPattern
          return Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
        }
        #expect(try tensor.values() == expected, "\(tensor.name)")
      }
    }
  }

  /// Which PixArt it is, told by the transformer's settings, else by the pipeline that it lies in, the
  /// autoencoder beside it, or its path; never by the pipeline that other parts come from.
  @Test(
    arguments: [
      (128, #","use_additional_conditions":false"#, nil, nil, "", "Sigma"),
      (128, #","use_additional_conditions":true"#, "Sigma", 0.13025, "", "Alpha"),
      (32, #","interpolation_scale":0.5"#, nil, nil, "", "Sigma"),
      (32, #","interpolation_scale":1"#, nil, nil, "", "Alpha"), (256, "", nil, nil, "", "Sigma"),
      (64, "", "Sigma", 0.18215, "", "Sigma"), (64, "", nil, 0.13025, "", "Sigma"),
      (64, "", nil, 0.18215, "", "Alpha"), (64, "", nil, 0.5, "my-Sigma-512", "Sigma"),
      (64, "", nil, 0.5, "", nil),
    ] as [(Int, String, String?, Double?, String, String?)])
  func tellsTheGeneration(
    _ size: Int, _ keys: String, _ pipeline: String?, _ scale: Double?, _ name: String,
    _ expected: String?
  ) throws {
    let folder = try TemporaryFolder()
    let golden = GoldenData.root.appending(path: "pixart-alpha")
    let model = name.isEmpty ? "model" : name
    try folder.write(
      "\(model)/transformer/config.json",
      #"{"_class_name":"PixArtTransformer2DModel","sample_size":\#(size)\#(keys)}"#)
    try FileManager.default.copyItem(
      at: golden.appending(path: "transformer/diffusion_pytorch_model.safetensors"),
      to: folder.url("\(model)/transformer/diffusion_pytorch_model.safetensors"))
    if let pipeline {
      try folder.write(
        "\(model)/model_index.json", #"{"_class_name":"PixArt\#(pipeline)Pipeline"}"#)
    }
    try FileManager.default.createDirectory(
      at: folder.url("parts"), withIntermediateDirectories: true)
    for part in ["text_encoder", "tokenizer", "vae", "scheduler", "model_index.json"] {
      try FileManager.default.copyItem(
        at: golden.appending(path: part), to: folder.url("parts/\(part)"))
    }
    if let scale {
      try folder.write("parts/vae/config.json", #"{"scaling_factor":\#(scale)}"#)
    }
    let sources = try ImportSources(
      [folder.path + "/\(model)", folder.path + "/parts"], variant: nil)
    guard let expected else {
      let error = try error { _ = try ImportPlan(sources, ImportOptions()) }
      #expect("\(error)".contains("does not tell whether it is PixArt-alpha or PixArt-Sigma"))
      return
    }
    let index = try ImportPlan(sources, ImportOptions()).json("model_index.json")
    #expect(try index.string("_class_name") == "PixArt\(expected)Pipeline")
    let told = ImportOptions(generation: .sigma)
    let other = try ImportPlan(sources, told).json("model_index.json")
    #expect(try other.string("_class_name") == "PixArtSigmaPipeline")
  }

  /// The folder's settings and those that were read off the weights describe the same model.
  @Test func readsConfigurationsOffWeights() throws {
    for (name, heads) in [("pixart-alpha", 3), ("pixart-sigma", 2), ("pixart-conditions", 3)] {
      let golden = GoldenData.root.appending(path: name)
      let bare = try TemporaryFolder()
      for part in ["transformer", "text_encoder", "vae"] {
        let source = golden.appending(path: part)
        try FileManager.default.createDirectory(
          at: bare.url(part), withIntermediateDirectories: true)
        for file in try FileManager.default.contentsOfDirectory(atPath: source.path)
        where file.hasSuffix(".safetensors") {
          try FileManager.default.copyItem(
            at: source.appending(path: file), to: bare.url(part).appending(path: file))
        }
      }
      let config = try BackboneConfig(
        ModelFolder(directory: golden.path).config("transformer/config.json"))
      let options = ImportOptions(
        format: .f32, size: 8 * config.sampleSize, heads: heads,
        generation: name == "pixart-sigma" ? .sigma : .alpha)
      let sources = try ImportSources(
        [bare.path, golden.path + "/tokenizer"], variant: nil)
      let plan = try ImportPlan(sources, options)
      let (written, t5) = (try plan.config("transformer"), try plan.config("text_encoder"))
      #expect(
        try "\(BackboneConfig(written))" == "\(config)", "\(name): the transformer's configuration")
      #expect(
        try "\(T5Config(t5))"
          == "\(T5Config(ModelFolder(directory: golden.path).config("text_encoder/config.json")))")
      // The groups of norms are those of Stable Diffusion's, whatever shapes are.
      let vae = try plan.config("vae")
      let own = try ModelFolder(directory: golden.path).config("vae/config.json")
      let whole = 1...1000
      #expect(
        try vae.ints("block_out_channels", in: whole) == own.ints("block_out_channels", in: whole))
      for key in ["layers_per_block", "latent_channels"] {
        #expect(try vae.int(key, in: whole) == own.int(key, in: whole))
      }
      for key in ["mid_block_add_attention", "use_post_quant_conv", "use_quant_conv"] {
        #expect(try vae.bool(key) == own.bool(key))
      }
      #expect(try vae.double("scaling_factor") == (name == "pixart-sigma" ? 0.13025 : 0.18215))
    }
  }
}

extension ImportPlan {
  func config(_ part: String) throws -> ConfigObject { try json("\(part)/config.json") }

  func json(_ path: String) throws -> ConfigObject {
    let file = try #require(files.first { $0.path == path })
    guard case .text(let text) = file.content else { throw CocoaError(.fileReadUnknown) }
    return try Array(text.utf8).withUnsafeBytes { bytes in
      try ConfigObject(file: FileBytes(name: file.path, embedded: bytes))
    }
  }
}

extension TemporaryFolder {
  /// Paths of all files, hidden ones too.
  var files: [String] {
    get throws {
      try FileManager.default.subpathsOfDirectory(atPath: path).sorted()
        .filter { PathKind(path + "/" + $0) == .file }
    }
  }

  var byteCount: Int {
    get throws {
      try files.reduce(0) { try $0 + Data(contentsOf: url($1)).count }
    }
  }
}
