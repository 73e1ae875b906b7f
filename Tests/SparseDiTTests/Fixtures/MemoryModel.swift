import Foundation

@testable import SparseDiT

/// A model folder in memory, for tests that change a file or make weights up.
struct MemoryModel {
  var files: [String: [UInt8]]

  /// A copy of a golden folder.
  init(golden name: String) throws {
    let root = GoldenData.root.appending(path: name)
    files = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: root.path) {
      if let bytes = try? Data(contentsOf: root.appending(path: path)) {
        files[path] = [UInt8](bytes)
      }
    }
  }

  init() { files = [:] }

  /// Changes keys of a JSON file; a nil value removes the key.
  mutating func edit(_ path: String, _ changes: [String: Any?]) throws {
    let object = try JSONSerialization.jsonObject(with: Data(files[path] ?? Array("{}".utf8)))
    var members = object as? [String: Any] ?? [:]
    for (key, value) in changes { members[key] = value ?? nil }
    files[path] = [UInt8](try JSONSerialization.data(withJSONObject: members))
  }

  /// Changes one key to a JSON value; nil removes it.
  mutating func edit(_ path: String, _ key: String, json value: String?) throws {
    let parsed = try value.map {
      try JSONSerialization.jsonObject(with: Data($0.utf8), options: .fragmentsAllowed)
    }
    try edit(path, [key: parsed])
  }

  /// Writes f32 tensors as a safetensors file.
  mutating func write(_ path: String, _ tensors: [(name: String, shape: [Int], values: [Float])])
    throws
  {
    var header: [String: Any] = [:]
    var data: [UInt8] = []
    for (name, shape, values) in tensors {
      let begin = data.count
      values.withUnsafeBytes { data += $0 }
      header[name] = ["dtype": "F32", "shape": shape, "data_offsets": [begin, data.count]]
    }
    let text = [UInt8](try JSONSerialization.data(withJSONObject: header))
    files[path] = withUnsafeBytes(of: UInt64(text.count).littleEndian) { [UInt8]($0) } + text + data
  }

  /// Overwrites one element of an f32 tensor.
  mutating func poke(_ path: String, _ tensor: String, index: Int, _ value: Float) throws {
    let file = Data(files[path] ?? [])
    let dataStart = 8 + Int(file.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
    let header = try JSONSerialization.jsonObject(with: file[8..<dataStart]) as? [String: Any]
    let entry = header?[tensor] as? [String: Any]
    guard let offsets = entry?["data_offsets"] as? [Int] else {
      throw GoldenTensors.Missing(tensor: tensor, folder: path)
    }
    let begin = dataStart + offsets[0] + 4 * index
    withUnsafeBytes(of: value) { files[path]?.replaceSubrange(begin..<begin + 4, with: $0) }
  }

  /// The folder; its bytes stay for the rest of the test process, as embedded files must.
  func folder(_ name: String = "memory") -> ModelFolder {
    ModelFolder(
      name: name,
      embedded: files.mapValues { bytes in
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
        memory.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(memory)
      })
  }
}
