import Foundation
import Tensors

@testable import SparseDiT

/// Files that are laid out as `torch.save` does, with a pickle that no library would write.
enum TorchFiles {
  /// A folder of `Tests/Golden/import` or a file in it.
  static func golden(_ name: String) -> String {
    GoldenData.root.appending(path: "import").appending(path: name).path
  }

  /// A file of a zip: its name, its content, and what its headers say of it.
  struct Entry {
    var name: String
    var bytes: [UInt8]
    var method: UInt16 = 0
    var flags: UInt16 = 0
    /// What the table says the size is; nil for the truth.
    var size: UInt32?
    /// Where the table says it lies; nil for the truth.
    var offset: UInt32?
    /// Whether sizes stand in the 64-bit extension.
    var isLarge = false
  }

  /// The bytes of a zip file with these entries.
  static func zip(_ entries: [Entry], comment: [UInt8] = [], count: UInt16? = nil) -> [UInt8] {
    var file: [UInt8] = []
    var table: [UInt8] = []
    for entry in entries {
      let offset = UInt32(file.count)
      let name = Array(entry.name.utf8)
      file += number(0x0403_4B50 as UInt32) + number(45 as UInt16) + number(entry.flags)
      file += number(entry.method) + number(0 as UInt64) + number(UInt32(entry.bytes.count))
      file += number(UInt32(entry.bytes.count)) + number(UInt16(name.count))
      // Padding that aligns the bytes, as torch writes it.
      file += number(8 as UInt16) + name + [0x46, 0x42, 4, 0, 0x5A, 0x5A, 0x5A, 0x5A]
      file += entry.bytes
      let size = entry.size ?? UInt32(entry.bytes.count)
      let shown = entry.isLarge ? UInt32.max : size
      let extra =
        entry.isLarge
        ? number(1 as UInt16) + number(16 as UInt16) + number(UInt64(size)) + number(UInt64(size))
        : []
      table += number(0x0201_4B50 as UInt32) + number(45 as UInt16) + number(45 as UInt16)
      table += number(entry.flags) + number(entry.method) + number(0 as UInt64)
      table += number(shown) + number(shown) + number(UInt16(name.count))
      table += number(UInt16(extra.count)) + number(0 as UInt16) + number(0 as UInt64)
      table += number(entry.offset ?? offset) + name + extra
    }
    let begin = UInt32(file.count)
    let total = count ?? UInt16(entries.count)
    file += table + number(0x0605_4B50 as UInt32) + number(0 as UInt32) + number(total)
    file += number(total) + number(UInt32(table.count)) + number(begin)
    return file + number(UInt16(comment.count)) + comment
  }

  /// A checkpoint whose pickle is this and whose storages have these bytes.
  static func checkpoint(_ pickle: [UInt8], _ storages: [String: [UInt8]] = [:]) -> [UInt8] {
    zip(
      [Entry(name: "model/data.pkl", bytes: pickle), Entry(name: "model/version", bytes: [0x33])]
        + storages.sorted { $0.key < $1.key }
        .map { Entry(name: "model/data/\($0.key)", bytes: $0.value) })
  }

  static func number<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian, Array.init)
  }

  // MARK: Pickles

  /// Protocol 2, these steps, and the end.
  static func pickle(_ steps: [UInt8]...) -> [UInt8] { [0x80, 2] + steps.flatMap(\.self) + [0x2E] }

  static func text(_ text: String) -> [UInt8] {
    [0x58] + number(UInt32(text.utf8.count)) + Array(text.utf8)
  }

  static func integer(_ value: Int32) -> [UInt8] { [0x4A] + number(value) }

  static func global(_ module: String, _ name: String) -> [UInt8] {
    [0x63] + Array("\(module)\n\(name)\n".utf8)
  }

  static func tuple(_ values: [UInt8]...) -> [UInt8] { [0x28] + values.flatMap(\.self) + [0x74] }

  static func dictionary(_ items: (String, [UInt8])...) -> [UInt8] {
    [0x7D, 0x28] + items.flatMap { text($0.0) + $0.1 } + [0x75]
  }

  /// A storage that is named by a persistent identity.
  static func storage(_ key: String, _ type: String = "FloatStorage", count: Int32) -> [UInt8] {
    tuple(text("storage"), global("torch", type), text(key), text("cpu"), integer(count)) + [0x51]
  }

  /// A tensor as `torch._utils._rebuild_tensor_v2` is asked for it.
  static func tensor(
    _ storage: [UInt8], offset: Int32 = 0, _ sizes: [Int32], _ strides: [Int32]
  ) -> [UInt8] {
    tensor(storage, offset: offset, sizes, steps: strides.map(integer))
  }

  static func tensor(
    _ storage: [UInt8], offset: Int32 = 0, _ sizes: [Int32], steps strides: [[UInt8]]
  ) -> [UInt8] {
    let hooks: [UInt8] = global("collections", "OrderedDict") + [0x29, 0x52]
    let size: [UInt8] = [0x28] + sizes.flatMap(integer) + [0x74]
    let stride: [UInt8] = [0x28] + strides.flatMap(\.self) + [0x74]
    let arguments = tuple(storage, integer(offset), size, stride, [0x89], hooks)
    return global("torch._utils", "_rebuild_tensor_v2") + arguments + [0x52]
  }

  // MARK: Reading

  /// Reads a file of these bytes, which messages call `file`.
  static func read(_ bytes: [UInt8]) throws -> [SourceTensor] {
    let folder = try TemporaryFolder()
    try folder.write("file", bytes)
    return try WeightFile.read(folder.path + "/file", name: "file")
  }
}

extension SourceTensor {
  /// All elements in row-major order, in f32.
  func values() throws -> [Float] {
    var values: [Float] = []
    try forEachPiece { piece throws(SparseDiTError) in
      values += try piece.kept(as: .f32).floats()
    }
    return values
  }
}
