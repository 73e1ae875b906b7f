/// An n-dimensional array: a typed, shaped window on a ``Storage``.
///
/// Rows (the last axis) are contiguous; `rowStride` is the distance between two of them, larger than
/// the last axis in a view of some columns. A value is cheap to copy; copies share memory.
public struct Tensor: Sendable {
  public let storage: Storage
  public let byteOffset: Int
  public let shape: Shape
  public let dtype: DType
  /// Elements from one row to the next.
  public let rowStride: Int

  public init(
    storage: Storage, byteOffset: Int = 0, shape: Shape, dtype: DType, rowStride: Int? = nil
  ) {
    self.storage = storage
    self.byteOffset = byteOffset
    self.shape = shape
    self.dtype = dtype
    self.rowStride = rowStride ?? shape.columns
  }

  /// A contiguous f32 tensor with memory of its own.
  ///
  /// - Throws: `outOfMemory`; `internalFailure` when the count does not fit the shape.
  public init(_ values: [Float], _ shape: Shape) throws(SparseDiTError) {
    try self.init(copying: values, shape, .f32)
  }

  /// A contiguous i32 tensor with memory of its own (token ids).
  public init(_ values: [Int32], _ shape: Shape) throws(SparseDiTError) {
    try self.init(copying: values, shape, .i32)
  }

  private init<T: BitwiseCopyable>(
    copying values: [T], _ shape: Shape, _ dtype: DType
  ) throws(SparseDiTError) {
    guard values.count == shape.count else {
      throw .internalFailure("\(values.count) values do not fill a tensor of shape \(shape)")
    }
    let storage = try Storage(allocating: shape.count * dtype.byteCount)
    values.withUnsafeBytes { storage.base.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    self.init(storage: storage, shape: shape, dtype: dtype)
  }

  public var isContiguous: Bool { rowStride == shape.columns || shape.rows == 1 }
  public var pointer: UnsafeMutableRawPointer { storage.base + byteOffset }

  /// The same elements under another shape of equal count. Only for contiguous tensors.
  public func reshaped(_ shape: Shape) -> Tensor {
    assert(isContiguous && shape.count == self.shape.count)
    return Tensor(storage: storage, byteOffset: byteOffset, shape: shape, dtype: dtype)
  }

  /// A view of some columns of the last axis.
  public func columns(_ range: Range<Int>) -> Tensor {
    assert(range.upperBound <= shape.columns)
    return Tensor(
      storage: storage, byteOffset: byteOffset + range.lowerBound * dtype.byteCount,
      shape: Shape(shape.sizes.dropLast() + [range.count]), dtype: dtype, rowStride: rowStride)
  }

  /// A view of some entries of the first axis (rank ≥ 2).
  public func rows(_ range: Range<Int>) -> Tensor {
    assert(shape.rank >= 2 && range.upperBound <= shape[0])
    let rowsPerEntry = shape.sizes.dropFirst().dropLast().reduce(1, *)
    return Tensor(
      storage: storage,
      byteOffset: byteOffset + range.lowerBound * rowsPerEntry * rowStride * dtype.byteCount,
      shape: Shape([range.count] + shape.sizes.dropFirst()), dtype: dtype, rowStride: rowStride)
  }

  /// The elements of a contiguous f32 tensor, in place.
  public var f32: UnsafeMutableBufferPointer<Float> {
    assert(dtype == .f32 && isContiguous)
    return UnsafeMutableBufferPointer(
      start: pointer.assumingMemoryBound(to: Float.self), count: shape.count)
  }

  /// The elements as f32 in row order, whatever the type and the stride: for tests and small
  /// things, one element at a time.
  public func floats() -> [Float] {
    (0..<shape.rows).flatMap { row in
      (0..<shape.columns).map { column in element(row * rowStride + column) }
    }
  }

  private func element(_ index: Int) -> Float {
    switch dtype {
    case .f32: pointer.load(fromByteOffset: index * 4, as: Float.self)
    case .i32: Float(pointer.load(fromByteOffset: index * 4, as: Int32.self))
    case .u8: Float(pointer.load(fromByteOffset: index, as: UInt8.self))
    case .f16: Float(pointer.load(fromByteOffset: index * 2, as: Float16.self))
    case .bf16:
      Float(bitPattern: UInt32(pointer.load(fromByteOffset: index * 2, as: UInt16.self)) << 16)
    }
  }
}
