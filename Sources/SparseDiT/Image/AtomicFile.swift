import Glibc
import Tensors

/// Writes whole files or nothing: bytes go to a temporary file in the same folder, which takes the
/// final name when it is complete and on disk.
///
/// An existing file is replaced and its permissions are kept. A symbolic link stays: the file that it
/// leads to is replaced, or made if there is none. Devices and pipes (`/dev/stdout`) are written
/// directly. Any thread may call.
public enum AtomicFile {
  /// Writes `bytes` to `path`.
  ///
  /// - Parameter onTemporary: called with the temporary file's path just before it is made, and with
  ///   nil when it is gone. A program that ends itself in between removes that path first.
  /// - Throws: `cannotWrite`, naming the path and the system's reason; nothing is left behind.
  public static func write(
    _ bytes: [UInt8], to path: String, onTemporary: (String?) -> Void = { _ in }
  ) throws(SparseDiTError) {
    switch try Target(path) {
    case .device(let path):
      let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY)
      guard descriptor >= 0 else { throw failure(path, errno) }
      defer { close(descriptor) }
      try write(bytes, to: descriptor, name: path)
    case .file(let destination, let permissions):
      let temporary = try temporaryName(beside: destination, of: path)
      onTemporary(temporary)
      defer { onTemporary(nil) }
      let descriptor = try create(temporary, for: path)
      do {
        if let permissions { fchmod(descriptor, permissions) }
        try write(bytes, to: descriptor, name: path)
        try finish(descriptor, temporary, destination, name: path)
      } catch {
        close(descriptor)
        unlink(temporary)
        throw error
      }
      close(descriptor)
    }
  }

  /// Finds out whether ``write(_:to:onTemporary:)`` could write to `path`, by making and removing a
  /// temporary file there: before minutes of work, not after.
  ///
  /// - Throws: `cannotWrite`, naming the path and the system's reason.
  public static func check(_ path: String) throws(SparseDiTError) {
    switch try Target(path) {
    case .device(let path):
      guard access(path, W_OK) == 0 else { throw failure(path, errno) }
    case .file(let destination, _):
      let temporary = try temporaryName(beside: destination, of: path)
      close(try create(temporary, for: path))
      unlink(temporary)
    }
  }

  /// Writes all bytes to an open descriptor.
  ///
  /// - Throws: `cannotWrite`, with `name` and the system's reason.
  public static func write(
    _ bytes: [UInt8], to descriptor: Int32, name: String
  ) throws(SparseDiTError) {
    var offset = 0
    while offset < bytes.count {
      let written = bytes.withUnsafeBytes { buffer in
        let rest = UnsafeRawBufferPointer(rebasing: buffer[offset...])
        return Glibc.write(descriptor, rest.baseAddress, rest.count)
      }
      if written > 0 {
        offset += written
      } else if written == 0 || errno != EINTR {
        throw failure(name, written == 0 ? EIO : errno)
      }
    }
  }

  // MARK: Steps

  /// What a path leads to.
  private enum Target {
    /// A regular file, there or not yet, by its name behind symbolic links.
    case file(String, permissions: mode_t?)
    case device(String)

    init(_ path: String) throws(SparseDiTError) {
      guard !path.isEmpty else { throw .cannotWrite("the output path is empty") }
      guard !path.utf8.contains(0) else {
        throw .cannotWrite("the output path contains a NUL byte")
      }
      var status = stat()
      guard stat(path, &status) == 0 else {
        guard errno == ENOENT else { throw failure(path, errno) }
        self = .file(try Self.missing(path), permissions: nil)
        return
      }
      switch status.st_mode & S_IFMT {
      case S_IFDIR: throw failure(path, EISDIR)
      case S_IFREG: self = .file(Self.resolved(path), permissions: status.st_mode & 0o777)
      default: self = .device(path)
      }
    }

    /// Where a chain of links leads whose last one points to no file; `path` itself if it is no link.
    private static func missing(_ path: String) throws(SparseDiTError) -> String {
      var place = path
      // As many as the system follows; it has just followed these.
      for _ in 0..<40 {
        var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(place, &bytes, bytes.count)
        if count < 0, errno == EINVAL || errno == ENOENT { return place }
        guard count >= 0 else { throw failure(path, errno) }
        let name = bytes[..<count].map(UInt8.init(bitPattern:))
        guard let target = String(validating: name, as: UTF8.self) else {
          throw .cannotWrite("\(path): leads to a name that is not valid UTF-8")
        }
        let slash = place.utf8.lastIndex(of: UInt8(ascii: "/"))
        let folder = slash.map { String(place[...$0]) } ?? ""
        place = target.hasPrefix("/") ? target : folder + target
      }
      throw failure(path, ELOOP)
    }

    private static func resolved(_ path: String) -> String {
      guard let resolved = realpath(path, nil) else { return path }
      defer { free(resolved) }
      return String(cString: resolved)
    }
  }

  private static func temporaryName(
    beside destination: String, of path: String
  ) throws(SparseDiTError) -> String {
    let slash = destination.utf8.lastIndex(of: UInt8(ascii: "/"))
    let folder = slash.map { String(destination[...$0]) } ?? ""
    let name = slash.map { destination[destination.index(after: $0)...] } ?? destination[...]
    guard !name.isEmpty else { throw failure(path, ENOENT) }
    guard name.utf8.count <= Int(NAME_MAX) else { throw failure(path, ENAMETOOLONG) }
    return folder + ".sparsedit-" + String(UInt64.random(in: .min ... .max), radix: 36) + ".part"
  }

  /// Like any new file, with what the process's umask leaves of 0666.
  private static func create(_ temporary: String, for path: String) throws(SparseDiTError) -> Int32
  {
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure(path, errno) }
    return descriptor
  }

  private static func finish(
    _ descriptor: Int32, _ temporary: String, _ destination: String, name: String
  ) throws(SparseDiTError) {
    // Some disks say only now that they are full; and after a crash the name must not lead to less
    // than the whole file. File systems that cannot sync say EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw failure(name, errno) }
    guard rename(temporary, destination) == 0 else { throw failure(name, errno) }
  }

  /// The error for a path that the system refused for this reason, an `errno`.
  package static func failure(_ path: String, _ code: Int32) -> SparseDiTError {
    .cannotWrite("\(path): cannot be written: \(reason(code))")
  }

  /// What an error number means for an output, in English whatever the host's locale is.
  private static func reason(_ code: Int32) -> String {
    switch code {
    case ENOENT: "its folder does not exist"
    case ENOTDIR: "a part of its path is not a folder"
    case EISDIR: "it is a folder"
    case EACCES, EPERM: "permission denied"
    case EROFS: "the file system is read-only"
    case ENOSPC: "no space left on the disk"
    case EDQUOT: "the disk quota is used up"
    case EFBIG: "the file would be larger than allowed"
    case ENAMETOOLONG: "the name is too long"
    case ELOOP: "its symbolic links lead in a circle"
    case EPIPE: "nobody reads it any more"
    case EIO: "the disk reports an error"
    default: "system error \(code)"
    }
  }
}
