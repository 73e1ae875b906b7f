import Glibc
import Tensors

/// The names in a folder, sorted, without those that begin with a dot.
///
/// - Throws: `notFound` when it cannot be read.
func namesInFolder(_ path: String) throws(SparseDiTError) -> [String] {
  guard let folder = opendir(path) else { throw .notFound("\(path): \(systemMessage(errno))") }
  defer { closedir(folder) }
  var names: [String] = []
  while let entry = readdir(folder) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) {
        String(validatingCString: $0)
      }
    }
    // A name that is not UTF-8 is none that is looked for.
    if let name, !name.hasPrefix(".") { names.append(name) }
  }
  return names.sorted()
}

/// What a path leads to.
enum PathKind {
  case folder
  case file
  /// Also a device or a pipe.
  case nothing

  init(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      self = .nothing
      return
    }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: self = .folder
    case S_IFREG: self = .file
    default: self = .nothing
    }
  }
}

/// A name in a folder as a path.
func join(_ folder: String, _ name: String) -> String {
  folder.hasSuffix("/") ? folder + name : folder + "/" + name
}
