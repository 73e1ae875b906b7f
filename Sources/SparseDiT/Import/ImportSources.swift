import Tensors

/// What the sources of an import bring. Each part is taken from the first source that has it; later
/// ones are not even opened for it.
struct ImportSources {
  /// The weights of a part.
  struct Weights {
    /// Where they were found.
    let origin: String
    let names: WeightNames
    let tensors: [SourceTensor]
    /// The `config.json` beside them.
    let config: FileBytes?
    /// The `model_index.json` of the folder that the part was found in.
    let index: ConfigObject?
  }

  /// Files of a part that are taken over as they are.
  struct Files {
    let origin: String
    let files: [(name: String, file: FileBytes)]
    let index: ConfigObject?
  }

  private(set) var weights: [ModelPart: Weights] = [:]
  private(set) var files: [ModelPart: Files] = [:]
  /// Every `model_index.json` that was found.
  private(set) var indexes: [ConfigObject] = []
  private let variant: String?
  private var foundVariant = false

  /// - Parameters:
  ///   - paths: files and folders.
  ///   - variant: of weights in folders, such as `fp16`, where they have it.
  /// - Throws: `notFound`, `invalidData` and `unsupported` naming the file and what is wrong with it;
  ///   `invalidArgument` for a source that has nothing to take.
  init(_ paths: [String], variant: String?) throws(SparseDiTError) {
    self.variant = variant
    guard !paths.isEmpty else { throw .invalidArgument("a source is needed") }
    for path in paths {
      guard !path.isEmpty, !path.utf8.contains(0) else {
        throw .invalidArgument("a source's path is empty or contains a NUL byte")
      }
      switch PathKind(path) {
      case .folder: try addFolder(path)
      // A path that leads nowhere is named by the error of opening it.
      case .file, .nothing: try addFile(path)
      }
    }
    if let variant, !foundVariant {
      throw .notFound("no source has weights of the variant \(JSONValue.printable(variant))")
    }
  }

  /// Where a part was found.
  func origin(_ part: ModelPart) -> String? { weights[part]?.origin ?? files[part]?.origin }

  private func has(_ part: ModelPart) -> Bool { origin(part) != nil }

  // MARK: Folders

  /// A pipeline with folders for its parts, or the folder of one part.
  private mutating func addFolder(_ path: String) throws(SparseDiTError) {
    let names = try namesInFolder(path)
    var index: ConfigObject?
    if names.contains("model_index.json") { index = try addIndex(join(path, "model_index.json")) }
    let parts = ModelPart.allCases.filter { part in
      names.contains(part.rawValue) && PathKind(join(path, part.rawValue)) == .folder
    }
    for part in parts where !has(part) { try add(part, in: join(path, part.rawValue), index) }
    guard parts.isEmpty else { return }
    let taken = try addPart(in: path, names)
    guard taken || index != nil else {
      throw .invalidArgument("\(path): has nothing of a model in it")
    }
  }

  private mutating func addIndex(_ path: String) throws(SparseDiTError) -> ConfigObject {
    let index = try ConfigObject(file: FileBytes(mapping: path, name: path))
    indexes.append(index)
    return index
  }

  /// The folder of this part, in a pipeline. An empty one brings nothing.
  private mutating func add(
    _ part: ModelPart, in folder: String, _ index: ConfigObject?
  ) throws(SparseDiTError) {
    let names = try namesInFolder(folder)
    switch part {
    case .tokenizer, .scheduler: _ = try addFiles(of: part, in: folder, names, index)
    case .transformer, .textEncoder, .vae:
      _ = try addWeights(of: [part], in: folder, names, index)
    }
  }

  /// Parts that lie in a folder without one of their own: a text encoder often has its tokenizer
  /// beside it.
  private mutating func addPart(
    in folder: String, _ names: [String]
  ) throws(SparseDiTError) -> Bool {
    var taken = false
    for part in [ModelPart.tokenizer, .scheduler] {
      let isTaken = try addFiles(of: part, in: folder, names, nil)
      taken = taken || isTaken
    }
    let isTaken = try addWeights(
      of: [.transformer, .textEncoder, .vae], in: folder, names, nil)
    return taken || isTaken
  }

  /// Takes over the files of a part; says whether there are any.
  private mutating func addFiles(
    of part: ModelPart, in folder: String, _ names: [String], _ index: ConfigObject?
  ) throws(SparseDiTError) -> Bool {
    let isScheduler = part == .scheduler
    let wanted = isScheduler ? ["scheduler_config.json"] : ModelPart.tokenizerFiles
    let needed = isScheduler ? wanted : ["spiece.model", "tokenizer.json"]
    guard needed.contains(where: names.contains) else { return false }
    guard !has(part) else { return true }
    var files: [(name: String, file: FileBytes)] = []
    for name in wanted where names.contains(name) {
      let path = join(folder, name)
      files.append((name, try FileBytes(mapping: path, name: path)))
    }
    self.files[part] = Files(origin: folder, files: files, index: index)
    return true
  }

  /// Takes the weights in a folder for the part that they are of; says whether there are any.
  private mutating func addWeights(
    of parts: [ModelPart], in folder: String, _ names: [String], _ index: ConfigObject?
  ) throws(SparseDiTError) -> Bool {
    let bases = parts.flatMap(\.weightNames)
    guard
      let set = try WeightFileSet(among: names, bases: bases, variant: variant, folder: folder)
    else { return false }
    if set.variant != nil, set.variant == variant { foundVariant = true }
    let (found, tensors) = try WeightNames.recognise(
      set.read(in: folder), in: join(folder, set.name))
    guard parts.contains(found.part) else {
      throw .invalidData("\(folder): holds the weights of a \(found.part.title)")
    }
    let config = join(folder, "config.json")
    let file = names.contains("config.json") ? try FileBytes(mapping: config, name: config) : nil
    add(found, tensors, origin: join(folder, set.name), config: file, index)
    return true
  }

  private mutating func add(
    _ names: WeightNames, _ tensors: [SourceTensor], origin: String, config: FileBytes?,
    _ index: ConfigObject?
  ) {
    guard !has(names.part) else { return }
    weights[names.part] = Weights(
      origin: origin, names: names, tensors: tensors, config: config, index: index)
  }

  // MARK: Files

  private mutating func addFile(_ path: String) throws(SparseDiTError) {
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let name = slash.map { String(path[path.utf8.index(after: $0)...]) } ?? path
    switch name {
    case "model_index.json": _ = try addIndex(path)
    case "scheduler_config.json":
      try addFile(path, name, of: .scheduler)
    case "spiece.model", "tokenizer.json":
      try addFile(path, name, of: .tokenizer)
    default:
      let (names, tensors) = try WeightNames.recognise(
        WeightFile.read(path, name: path), in: path)
      let beside = slash.map { String(path[...$0]) } ?? ""
      add(names, tensors, origin: path, config: try config(beside + "config.json", names), nil)
    }
  }

  private mutating func addFile(
    _ path: String, _ name: String, of part: ModelPart
  ) throws(SparseDiTError) {
    let file = try FileBytes(mapping: path, name: path)
    guard !has(part) else { return }
    files[part] = Files(origin: path, files: [(name, file)], index: nil)
  }

  /// The `config.json` beside a file of weights, where it is one of theirs: the file may lie in a
  /// folder of downloads.
  private func config(_ path: String, _ names: WeightNames) throws(SparseDiTError) -> FileBytes? {
    guard PathKind(path) == .file else { return nil }
    let file = try FileBytes(mapping: path, name: path)
    let config = try ConfigObject(file: file)
    let className = try config.string("_class_name", default: "")
    let fits =
      switch names {
      case .t5: try config.string("model_type", default: "") == "t5"
      case .autoencoder: className == "AutoencoderKL"
      case .pixArt: ["PixArtTransformer2DModel", BackboneFamily.olderClass].contains(className)
      case .dit: ["DiTTransformer2DModel", BackboneFamily.olderClass].contains(className)
      case .originalDiT: className == "DiT"
      case .originalPixArt: false
      }
    return fits ? file : nil
  }
}
