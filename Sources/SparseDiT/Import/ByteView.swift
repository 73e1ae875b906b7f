import Tensors

/// The bytes of a source file with access that is checked: every place that a file's content leads
/// to goes through here.
struct ByteView: Sendable {
  let file: FileBytes
  /// The part of the file that is read, from its start.
  let range: Range<Int>

  var name: String { file.name }

  init(_ file: FileBytes) { self.init(file, 0..<file.count) }

  /// - Parameter range: must lie in the file.
  init(_ file: FileBytes, _ range: Range<Int>) {
    self.file = file
    self.range = range.clamped(to: 0..<file.count)
  }

  /// The bytes from one place of the file to another.
  /// - Throws: `invalidData` saying that the file is truncated when it ends before.
  func bytes(_ offset: Int, _ count: Int) throws(SparseDiTError) -> UnsafeRawBufferPointer {
    guard offset >= range.lowerBound, count >= 0, offset <= range.upperBound,
      count <= range.upperBound - offset
    else {
      throw .invalidData(
        "\(name): truncated: \(count) bytes at \(offset) lie beyond \(range.upperBound)")
    }
    return UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + count])
  }

  /// A little-endian number.
  func number<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type, at offset: Int
  ) throws(SparseDiTError) -> T {
    T(littleEndian: try bytes(offset, MemoryLayout<T>.size).loadUnaligned(as: T.self))
  }

  /// A little-endian number that counts or places bytes.
  /// - Throws: `invalidData` also when it does not fit in `Int`.
  func size<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type, at offset: Int
  ) throws(SparseDiTError) -> Int {
    let value = try number(type, at: offset)
    guard let size = Int(exactly: value), size >= 0 else {
      throw .invalidData("\(name): damaged: the size \(value) at byte \(offset)")
    }
    return size
  }

  func text(_ offset: Int, _ count: Int) throws(SparseDiTError) -> String {
    guard let text = String(validating: try bytes(offset, count), as: UTF8.self) else {
      throw .invalidData("\(name): text at byte \(offset) that is not UTF-8")
    }
    return text
  }
}
