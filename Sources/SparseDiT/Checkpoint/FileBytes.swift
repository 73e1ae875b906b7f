import Glibc
import Tensors

/// The content of one file of a model: mapped from disk, or compiled into the program. Read only.
///
/// A mapped file must not be truncated while it is in use: the operating system answers a read past
/// the new end with a signal that kills the process. Replace model files by renaming, which leaves
/// the mapping of the old file intact.
package final class FileBytes: @unchecked Sendable {
  // Unchecked: the bytes are never written.

  /// Name for messages: folder name and path inside the folder.
  package let name: String
  /// Valid as long as this object lives.
  package let bytes: UnsafeRawBufferPointer
  private let isMapped: Bool

  package var count: Int { bytes.count }

  /// Bytes that live as long as the program.
  init(name: String, embedded bytes: UnsafeRawBufferPointer) {
    self.name = name
    self.bytes = bytes
    isMapped = false
  }

  /// Maps a regular file.
  /// - Throws: `notFound` when there is no such file or it cannot be read, `invalidData` when it is
  ///   not a regular file, `outOfMemory` when it is more than the process may map.
  init(mapping path: String, name: String) throws(SparseDiTError) {
    self.name = name
    // O_NONBLOCK: opening a named pipe must fail the check below, not wait for a writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw .notFound("\(name): \(systemMessage(errno))") }
    defer { close(descriptor) }
    let size = try FileBytes.regularFileSize(descriptor, name: name)
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      isMapped = false
      return
    }
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED
    else {
      guard errno == ENOMEM else {
        throw .notFound("\(name): cannot be mapped: \(systemMessage(errno))")
      }
      throw .outOfMemory(
        "\(name): cannot be mapped: this process may not map \(size) bytes more of memory")
    }
    bytes = UnsafeRawBufferPointer(start: base, count: size)
    isMapped = true
  }

  deinit {
    if isMapped, let base = bytes.baseAddress {
      munmap(UnsafeMutableRawPointer(mutating: base), bytes.count)
    }
  }

  private static func regularFileSize(
    _ descriptor: Int32, name: String
  ) throws(SparseDiTError) -> Int {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw .notFound("\(name): \(systemMessage(errno))")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw .invalidData("\(name): is not a regular file")
    }
    return Int(status.st_size)
  }
}

extension FileBytes {
  /// The file's bytes as tensor storage that keeps the mapping alive. Never written through.
  func storage() throws(SparseDiTError) -> Storage {
    guard let base = bytes.baseAddress else { return try Storage(allocating: 0) }
    return Storage(base: UnsafeMutableRawPointer(mutating: base), byteCount: count) { _ in
      withExtendedLifetime(self) {}
    }
  }
}

/// What the operating system says about an error number, in English whatever the host's locale is.
func systemMessage(_ error: Int32) -> String {
  switch error {
  case ENOENT: "does not exist"
  case ENOTDIR: "does not exist (a part of its path is not a folder)"
  case EACCES, EPERM: "cannot be read: permission denied"
  case EISDIR: "is a folder"
  case ELOOP: "cannot be read: too many symbolic links"
  case ENAMETOOLONG: "cannot be read: the name is too long"
  case EMFILE, ENFILE: "cannot be read: too many open files"
  case ENOMEM: "cannot be read: out of memory"
  default: "cannot be read (error \(error))"
  }
}
