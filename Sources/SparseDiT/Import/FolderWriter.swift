import Glibc
import Tensors

/// Writes a folder whole or not at all: files go to a hidden folder beside it, which takes the name
/// when everything is on disk.
///
/// A process that is killed leaves the hidden folder, which nothing opens as a model before it is
/// complete; the next import to the same place removes it. Two imports to one place exclude each other.
final class FolderWriter {
  /// The folder to write.
  let path: String
  private let temporary: String
  /// The hidden folder, kept open because its lock is.
  private let descriptor: Int32
  private var isDone = false

  /// - Throws: `cannotWrite` when there is something already, or the system refuses the folder;
  ///   `busy` while another import writes there.
  init(_ path: String) throws(SparseDiTError) {
    let path = try Self.checked(path)
    self.path = path
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let parent = slash.map { String(path[...$0]) } ?? ""
    let name = slash.map { path[path.utf8.index(after: $0)...] } ?? path[...]
    temporary = "\(parent).\(name).importing"
    descriptor = try Self.open(temporary, for: path)
    try Self.clear(descriptor, path)
  }

  deinit {
    // Before the name is given up, so that another import cannot take it in between.
    if !isDone {
      try? Self.clear(descriptor, path)
      rmdir(temporary)
    }
    close(descriptor)
  }

  /// Writes one file; `body` hands out its bytes.
  func write(
    _ file: String,
    _ body: ((UnsafeRawBufferPointer) throws(SparseDiTError) -> Void) throws(SparseDiTError) -> Void
  ) throws(SparseDiTError) {
    let name = join(path, file)
    let parts = file.split(separator: "/")
    if parts.count > 1, mkdirat(descriptor, String(parts[0]), 0o777) != 0, errno != EEXIST {
      throw AtomicFile.failure(name, errno)
    }
    let output = openat(descriptor, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard output >= 0 else { throw AtomicFile.failure(name, errno) }
    defer { close(output) }
    try body { bytes throws(SparseDiTError) in
      try Self.write(bytes, to: output, name: name)
    }
    // Some disks say only now that they are full. File systems that cannot sync say EINVAL.
    guard fsync(output) == 0 || errno == EINVAL else { throw AtomicFile.failure(name, errno) }
  }

  /// Gives the folder its name.
  func finish() throws(SparseDiTError) {
    // After a crash the name must not lead to less than the whole folder.
    for part in ModelPart.allCases {
      let folder = openat(descriptor, part.rawValue, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      if folder >= 0 {
        fsync(folder)
        close(folder)
      }
    }
    fsync(descriptor)
    guard rename(temporary, path) == 0 else { throw AtomicFile.failure(path, errno) }
    isDone = true
  }

  /// - Throws: `cannotWrite` when the disk has less room than that.
  func checkRoom(_ byteCount: Int) throws(SparseDiTError) {
    var status = statvfs()
    guard fstatvfs(descriptor, &status) == 0 else { return }
    let (free, overflow) = Int(clamping: status.f_bavail)
      .multipliedReportingOverflow(by: Int(clamping: status.f_frsize))
    guard !overflow, free < byteCount else { return }
    throw .cannotWrite(
      "\(path): \(byteCount >> 20) MiB do not fit on the disk, which has \(free >> 20) MiB free")
  }

  // MARK: Steps

  /// The path without slashes at its end, where nothing is yet or an empty folder.
  private static func checked(_ path: String) throws(SparseDiTError) -> String {
    guard !path.isEmpty else { throw .cannotWrite("the output folder's path is empty") }
    guard !path.utf8.contains(0) else {
      throw .cannotWrite("the output folder's path contains a NUL byte")
    }
    var path = path
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard !["/", ".", ".."].contains(path), !path.hasSuffix("/."), !path.hasSuffix("/..") else {
      throw .cannotWrite("\(path): name the folder that is to be made")
    }
    var status = stat()
    guard lstat(path, &status) == 0 else {
      guard errno == ENOENT else { throw AtomicFile.failure(path, errno) }
      return path
    }
    let isFolder = status.st_mode & S_IFMT == S_IFDIR
    guard isFolder, (try? namesInFolder(path))?.isEmpty == true else {
      throw .cannotWrite("\(path): is there already; give a folder that is not")
    }
    return path
  }

  /// The hidden folder, made or left by an import that was killed, and locked.
  private static func open(_ temporary: String, for path: String) throws(SparseDiTError) -> Int32 {
    guard mkdir(temporary, 0o777) == 0 || errno == EEXIST else {
      throw AtomicFile.failure(path, errno)
    }
    let descriptor = Glibc.open(temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else { throw AtomicFile.failure(path, errno) }
    // An import that has just ended may have given the folder its name, or removed it, meanwhile.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, leads(temporary, to: descriptor) else {
      close(descriptor)
      throw .busy("\(path): another import is writing there")
    }
    return descriptor
  }

  private static func leads(_ path: String, to descriptor: Int32) -> Bool {
    var (named, opened) = (stat(), stat())
    return lstat(path, &named) == 0 && fstat(descriptor, &opened) == 0
      && named.st_ino == opened.st_ino && named.st_dev == opened.st_dev
  }

  /// Removes what an import writes from the hidden folder.
  private static func clear(_ folder: Int32, _ path: String) throws(SparseDiTError) {
    unlinkat(folder, "model_index.json", 0)
    for part in ModelPart.allCases {
      let files =
        ["config.json", "scheduler_config.json"] + ModelPart.tokenizerFiles
        + part.weightNames.map { "\($0).safetensors" }
      for file in files { unlinkat(folder, "\(part.rawValue)/\(file)", 0) }
      guard unlinkat(folder, part.rawValue, AT_REMOVEDIR) == 0 || errno == ENOENT else {
        throw AtomicFile.failure(path, errno)
      }
    }
  }

  private static func write(
    _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, name: String
  ) throws(SparseDiTError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let piece = UnsafeRawBufferPointer(rebasing: rest)
      let written = Glibc.write(descriptor, piece.baseAddress, piece.count)
      if written > 0 {
        rest = rest.dropFirst(written)
      } else if written == 0 || errno != EINTR {
        throw AtomicFile.failure(name, written == 0 ? EIO : errno)
      }
    }
  }
}
