import CDefaultModel
import Glibc
import Tensors

/// A diffusers pipeline folder: a directory on disk, or files compiled into the program.
///
/// A value is cheap to copy and may be used from any thread. Nothing is read before it is asked for.
public struct ModelFolder: Sendable {
  /// Name for messages: the directory as the caller gave it, or the name of the embedded model.
  public let name: String
  private let source: Source
  /// Whether this is the model inside the library.
  package private(set) var isBuiltIn = false

  private enum Source: Sendable {
    case directory(String)
    case embedded([String: EmbeddedFile])
  }

  /// Bytes that live as long as the program and never change.
  private struct EmbeddedFile: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer
  }

  /// A folder on disk.
  /// - Throws: `notFound` when it does not exist or cannot be entered, `invalidData` when it is a file.
  public init(directory: String) throws(SparseDiTError) {
    name = directory
    source = .directory(directory)
    guard !directory.isEmpty else { throw .notFound("model folder: the path is empty") }
    guard !directory.utf8.contains(0) else {
      throw .notFound("model folder: the path contains a NUL byte")
    }
    var status = stat()
    guard stat(directory, &status) == 0 else {
      throw .notFound("model folder \(directory): \(systemMessage(errno))")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw .invalidData("model folder \(directory): is not a folder")
    }
    guard access(directory, R_OK | X_OK) == 0 else {
      throw .notFound("model folder \(directory): \(systemMessage(errno))")
    }
  }

  /// Files in memory that outlives every use of the folder, by their path inside it.
  public init(name: String, embedded files: [String: UnsafeRawBufferPointer]) {
    self.name = name
    source = .embedded(files.mapValues(EmbeddedFile.init))
  }

  /// The default model, compiled into the library.
  /// - Throws: `notFound` when the library was built without one.
  public static func builtIn() throws(SparseDiTError) -> ModelFolder {
    let count = embedded_model_file_count()
    guard count > 0 else { throw .notFound("this build has no default model inside") }
    var files: [String: UnsafeRawBufferPointer] = [:]
    for index in 0..<count {
      let file = embedded_model_file(index)
      files[String(cString: file.path)] = UnsafeRawBufferPointer(start: file.data, count: file.size)
    }
    var folder = ModelFolder(name: "default model", embedded: files)
    folder.isBuiltIn = true
    return folder
  }

  /// The words that the model was trained on; nil where the folder has no list of them.
  /// - Throws: `invalidData` naming what is wrong with the list.
  public func knownWords() throws(SparseDiTError) -> KnownWords? { try KnownWords(self) }

  /// Whether the folder has this file.
  package func contains(_ path: String) -> Bool {
    switch source {
    case .directory(let directory): access(directory + "/" + path, F_OK) == 0
    case .embedded(let files): files[path] != nil
    }
  }

  /// The names of the files in a folder of this one, sorted; none where that cannot be read.
  func names(in subfolder: String) -> [String] {
    switch source {
    case .directory(let directory):
      return (try? namesInFolder(directory + "/" + subfolder)) ?? []
    case .embedded(let files):
      let prefix = subfolder + "/"
      return files.keys.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
        .filter { !$0.contains("/") }.sorted()
    }
  }

  /// The content of a file, mapped or in place; `path` is relative, with `/` between parts.
  /// - Throws: `notFound` when it does not exist or cannot be read, `invalidData` when it is not a
  ///   regular file.
  package func read(_ path: String) throws(SparseDiTError) -> FileBytes {
    switch source {
    case .directory(let directory):
      return try FileBytes(mapping: directory + "/" + path, name: displayName(path))
    case .embedded(let files):
      guard let file = files[path] else {
        throw .notFound("\(displayName(path)): does not exist")
      }
      return FileBytes(name: displayName(path), embedded: file.bytes)
    }
  }

  /// A JSON file whose top level is an object.
  package func config(_ path: String) throws(SparseDiTError) -> ConfigObject {
    try ConfigObject(file: read(path))
  }

  /// The weights of one component: `base.safetensors`, or the shards that
  /// `base.safetensors.index.json` lists (which wins when both are there, as in diffusers); where there
  /// is neither, those of the one variant that is there, such as `base.fp16.safetensors`.
  /// - Parameters:
  ///   - precision: what ``WeightKind/matrix`` weights are kept in.
  ///   - budget: what weights that must be converted are taken from.
  package func weights(
    _ subfolder: String, base: String, precision: Precision, budget: WeightBudget? = nil
  ) throws(SparseDiTError) -> WeightReader {
    try WeightReader(
      name: displayName(subfolder), shards: shards(subfolder, base: base), precision: precision,
      budget: budget)
  }

  /// `path` as messages show it.
  func displayName(_ path: String) -> String {
    switch source {
    case .directory: name.hasSuffix("/") ? name + path : name + "/" + path
    case .embedded: name + ": " + path
    }
  }
}
