import Glibc
import Tensors

/// A tensor where it lies in a file. Nothing of it is read before it is written elsewhere.
struct SourceTensor: Sendable {
  var name: String
  let dtype: SafetensorsFile.StoredType
  let shape: Shape
  /// Elements from one to the next, of each axis.
  let strides: [Int]
  let file: FileBytes
  /// Where the first element lies in the file.
  let byteOffset: Int

  /// What messages call it.
  var place: String { "\(file.name): tensor \(JSONValue.quoted(name))" }
  /// Bytes of its elements.
  var byteCount: Int { shape.count * dtype.byteCount }

  /// Whether the elements lie one after the other.
  var isContiguous: Bool {
    var step = 1
    for (size, stride) in zip(shape.sizes, strides).reversed() {
      if size == 0 { return true }
      if size > 1, stride != step { return false }
      step *= size
    }
    return true
  }

  /// One of `count` equal parts of the first axis.
  /// - Throws: `invalidData` when there are no such parts.
  func part(_ index: Int, of count: Int) throws(SparseDiTError) -> SourceTensor {
    guard count > 1 else { return self }
    guard let rows = shape.sizes.first, rows > 0, rows % count == 0 else {
      throw .invalidData("\(place): shape \(shape) has no \(count) equal parts")
    }
    return SourceTensor(
      name: name, dtype: dtype, shape: Shape([rows / count] + shape.sizes.dropFirst()),
      strides: strides, file: file,
      byteOffset: byteOffset + index * (rows / count) * strides[0] * dtype.byteCount)
  }

  /// The element type as the engine knows it.
  /// - Throws: `unsupported` for what is no floating-point type of 2 or 4 bytes.
  func floatType() throws(SparseDiTError) -> DType {
    switch dtype {
    case .f32: return .f32
    case .f16: return .f16
    case .bf16: return .bf16
    default:
      throw .unsupported(
        "\(place): dtype \(dtype.rawValue) is not supported (only F32, F16, BF16)")
    }
  }

  /// Hands out all elements in row-major order, in pieces of a few MiB, as tensors of `dtype`. A
  /// piece is only valid while `body` runs.
  func forEachPiece(
    _ body: (Tensor) throws(SparseDiTError) -> Void
  ) throws(SparseDiTError) {
    let type = try floatType()
    let size = type.byteCount
    let storage = try file.storage()
    let perPiece = Self.pieceBytes / size
    if isContiguous {
      for begin in stride(from: 0, to: shape.count, by: perPiece) {
        let count = min(perPiece, shape.count - begin)
        let offset = byteOffset + begin * size
        try body(Tensor(storage: storage, byteOffset: offset, shape: [count], dtype: type))
        forget(offset..<offset + count * size)
      }
      return
    }
    var indices = [Int](repeating: 0, count: shape.rank)
    for begin in stride(from: 0, to: shape.count, by: perPiece) {
      let count = min(perPiece, shape.count - begin)
      let gathered = try Storage(allocating: count * size)
      for element in 0..<count {
        let offset = byteOffset + zip(indices, strides).reduce(0) { $0 + $1.0 * $1.1 } * size
        (gathered.base + element * size).copyMemory(from: storage.base + offset, byteCount: size)
        advance(&indices)
      }
      try body(Tensor(storage: gathered, shape: [count], dtype: type))
    }
    withExtendedLifetime(storage) {}
  }

  private static let pieceBytes = 4 << 20

  /// The next element in row-major order.
  private func advance(_ indices: inout [Int]) {
    for axis in indices.indices.reversed() {
      indices[axis] += 1
      if indices[axis] < shape[axis] { return }
      indices[axis] = 0
    }
  }

  /// Lets go of mapped pages that were read, so that large files do not fill the process.
  private func forget(_ range: Range<Int>) {
    guard let base = file.bytes.baseAddress else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let begin = (range.lowerBound + page - 1) / page * page
    let end = range.upperBound / page * page
    guard end > begin else { return }
    _ = madvise(UnsafeMutableRawPointer(mutating: base + begin), end - begin, MADV_DONTNEED)
  }
}

extension SafetensorsFile {
  /// All tensors of the file.
  func sourceTensors() -> [SourceTensor] {
    entries.sorted { $0.key < $1.key }.map { name, entry in
      var strides: [Int] = []
      var step = 1
      for size in entry.shape.sizes.reversed() {
        strides.append(step)
        step *= size
      }
      return SourceTensor(
        name: name, dtype: entry.dtype, shape: entry.shape, strides: strides.reversed(),
        file: file, byteOffset: entry.range.lowerBound)
    }
  }
}
