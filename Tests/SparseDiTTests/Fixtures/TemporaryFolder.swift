import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// A folder that is removed with this object.
final class TemporaryFolder {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appending(path: "sparsedit-\(UUID())")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func url(_ name: String) -> URL { URL(filePath: path).appending(path: name) }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    try FileManager.default.createDirectory(
      at: url(name).deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url(name))
  }

  func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }
}

/// The bytes of a safetensors file with this header, however wrong, and zeros for data.
func safetensors(header: String, dataCount: Int, length: UInt64? = nil) -> [UInt8] {
  safetensors(header: header, data: [UInt8](repeating: 0, count: dataCount), length: length)
}

/// The bytes of a safetensors file with this header and data.
/// - Parameter length: what the file says the header's length is; nil for the truth.
func safetensors(header: String, data: [UInt8], length: UInt64? = nil) -> [UInt8] {
  let count = length ?? UInt64(header.utf8.count)
  return withUnsafeBytes(of: count.littleEndian, Array.init) + Array(header.utf8) + data
}

/// Runs `body`, which must throw, and gives the error.
func error(_ body: () throws -> Void) throws -> SparseDiTError {
  do {
    try body()
  } catch let error as SparseDiTError {
    return error
  }
  throw NothingThrown()
}

private struct NothingThrown: Error {}
