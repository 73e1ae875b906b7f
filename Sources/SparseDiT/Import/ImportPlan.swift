import Tensors

/// The folder that an import is to write, file by file, before anything is written.
struct ImportPlan {
  struct File {
    /// Inside the folder.
    let path: String
    let content: Content

    var byteCount: Int {
      switch content {
      case .text(let text): text.utf8.count
      case .copy(let file): file.count
      case .weights(let layout): layout.byteCount
      }
    }
  }

  enum Content {
    case text(String)
    case copy(FileBytes)
    case weights(SafetensorsLayout)
  }

  /// Where each part comes from; nil for one that is made here.
  let origins: [(part: ModelPart, origin: String?)]
  /// `model_index.json` last.
  let files: [File]

  var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }

  /// What configurations that are made here say they were saved with: a version whose keys they have.
  static let diffusersVersion = "0.30.0"

  /// - Throws: `invalidArgument` naming the parts that no source has, and what has to be said because
  ///   no file says it; `invalidData` and `unsupported` naming a tensor or key that is wrong.
  init(_ sources: ImportSources, _ options: ImportOptions) throws(SparseDiTError) {
    try Self.checkParts(sources)
    guard let transformer = sources.weights[.transformer], let vae = sources.weights[.vae] else {
      throw .internalFailure("an import without its parts")
    }
    let backbone = try TransformerPlan(transformer, sources, options)
    var files = try Self.weights(.transformer, backbone.tensors, backbone.config, options)
    if let encoder = sources.weights[.textEncoder], backbone.generation != nil {
      let tensors = encoder.tensors.withoutUnused(.t5)
      let config: Content =
        if let own = encoder.config { .copy(own) } else {
          .text(try JSONValue.t5(ShapeTable(tensors, name: encoder.origin)).fileText)
        }
      files += try Self.weights(.textEncoder, tensors, config, options)
      for (name, file) in sources.files[.tokenizer]?.files ?? [] {
        files.append(File(path: "tokenizer/\(name)", content: .copy(file)))
      }
    }
    files += try Self.autoencoder(vae, backbone.generation, options)
    let scheduler = try SchedulerPlan(sources, transformer.names)
    files.append(scheduler.file)
    files.append(
      File(
        path: "model_index.json",
        content: .text(
          Self.index(backbone, scheduler, names: try Self.classNames(sources)).fileText)))
    self.files = files
    let isText = backbone.generation != nil
    origins = ModelPart.allCases
      .filter { isText || ($0 != .textEncoder && $0 != .tokenizer) }
      .map { ($0, sources.origin($0)) }
  }

  /// - Throws: `invalidArgument` for parts that are needed and that no source has.
  private static func checkParts(_ sources: ImportSources) throws(SparseDiTError) {
    var needed: [ModelPart] = [.transformer]
    switch sources.weights[.transformer]?.names.conditioning {
    case .text?: needed += [.textEncoder, .tokenizer, .vae]
    case .classes?: needed += [.vae]
    case nil: break
    }
    let missing = needed.filter { sources.origin($0) == nil }.map(\.title)
    guard missing.isEmpty else {
      throw .invalidArgument(
        "no source has this part of the model: \(missing.joined(separator: ", "))")
    }
  }

  /// The two files of a part with weights.
  private static func weights(
    _ part: ModelPart, _ tensors: [SourceTensor], _ config: Content, _ options: ImportOptions
  ) throws(SparseDiTError) -> [File] {
    let layout = try SafetensorsLayout(tensors, as: options.format)
    let name = part.weightNames.first ?? ""
    return [
      File(path: "\(part.rawValue)/config.json", content: config),
      File(path: "\(part.rawValue)/\(name).safetensors", content: .weights(layout)),
    ]
  }

  /// The latents' scale, where no configuration tells it, is that of the family.
  private static func autoencoder(
    _ vae: ImportSources.Weights, _ generation: ImportOptions.Generation?,
    _ options: ImportOptions
  ) throws(SparseDiTError) -> [File] {
    let config: Content =
      if let own = vae.config { .copy(own) } else {
        .text(
          try JSONValue.autoencoder(
            ShapeTable(vae.tensors, name: vae.origin),
            scalingFactor: generation == .sigma ? 0.13025 : 0.18215
          ).fileText)
      }
    return try weights(.vae, vae.tensors, config, options)
  }

  private static func index(
    _ backbone: TransformerPlan, _ scheduler: SchedulerPlan, names: JSONValue?
  ) -> JSONValue {
    func part(_ library: String, _ name: String) -> JSONValue {
      .array([.string(library), .string(name)])
    }
    var members: [String: JSONValue] = [
      "_diffusers_version": .string(diffusersVersion),
      "scheduler": part("diffusers", scheduler.className),
      "transformer": part(
        backbone.className == "DiT" ? "sparsedit" : "diffusers", backbone.className),
      "vae": part("diffusers", "AutoencoderKL"),
    ]
    switch backbone.generation {
    case nil:
      members["_class_name"] = .string("DiTPipeline")
      if let names { members["id2label"] = names }
    case let generation?:
      members["_class_name"] = .string(
        generation == .sigma ? "PixArtSigmaPipeline" : "PixArtAlphaPipeline")
      members["text_encoder"] = part("transformers", "T5EncoderModel")
      members["tokenizer"] = part("transformers", "T5Tokenizer")
    }
    return .object(members)
  }

  /// What the classes are called, where a source tells.
  private static func classNames(
    _ sources: ImportSources
  ) throws(SparseDiTError) -> JSONValue? {
    for index in sources.indexes {
      guard let labels = try index.object("id2label") else { continue }
      var members: [String: JSONValue] = [:]
      for label in labels.keys { members[label] = .string(try labels.string(label)) }
      return .object(members)
    }
    return nil
  }
}

extension WeightNames {
  enum Conditioning { case text, classes }

  /// What a transformer with these names draws by; nil for other parts.
  var conditioning: Conditioning? {
    switch self {
    case .pixArt, .originalPixArt: .text
    case .dit, .originalDiT: .classes
    case .t5, .autoencoder: nil
    }
  }
}

/// The scheduler of an import: the sources' own, or the family's.
struct SchedulerPlan {
  let file: ImportPlan.File
  /// As `model_index.json` names it.
  let className: String

  init(_ sources: ImportSources, _ names: WeightNames) throws(SparseDiTError) {
    let path = "scheduler/scheduler_config.json"
    let config: ConfigObject
    if let own = sources.files[.scheduler], let found = own.files.first?.file {
      file = ImportPlan.File(path: path, content: .copy(found))
      config = try ConfigObject(file: found)
      // In a pipeline that names a class, that one counts.
      if let index = own.index, index.contains("scheduler") {
        className = try index.strings("scheduler", count: 2...2)[1]
        return
      }
    } else {
      let made = JSONValue.scheduler(names)
      guard case .object(let members) = made else {
        throw .internalFailure("a scheduler's settings are no object")
      }
      file = ImportPlan.File(path: path, content: .text(made.fileText))
      config = ConfigObject(name: path, members: members)
    }
    className = try config.string("_class_name")
  }
}
