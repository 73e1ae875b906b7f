/// A piece of memory that tensors share. Weights lie in a mapped file that `owner` keeps alive;
/// scratch goes back to where it came from when the last tensor lets go of it.
public final class Storage: @unchecked Sendable {
  // Unchecked: weights are never written after loading, scratch is only touched by the thread that runs its pipeline.
  public let base: UnsafeMutableRawPointer
  public let byteCount: Int
  private let release: (@Sendable (UnsafeMutableRawPointer) -> Void)?

  /// - Parameter release: called once with `base` when nothing uses the memory any more; it also keeps an owner alive.
  public init(
    base: UnsafeMutableRawPointer, byteCount: Int,
    release: (@Sendable (UnsafeMutableRawPointer) -> Void)?
  ) {
    self.base = base
    self.byteCount = byteCount
    self.release = release
  }

  /// Plain memory from the heap, 64-byte aligned.
  public convenience init(allocating byteCount: Int) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: max(byteCount, 1), alignment: 64)
    self.init(base: memory, byteCount: byteCount) { $0.deallocate() }
  }

  deinit { release?(base) }
}

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

  public var isContiguous: Bool { rowStride == shape.columns || shape.rows == 1 }
  public var pointer: UnsafeMutableRawPointer { storage.base + byteOffset }

  /// The same elements under another shape of equal count. Only for contiguous tensors.
  public func reshaped(_ shape: Shape) -> Tensor {
    assert(isContiguous && shape.count == self.shape.count)
    return Tensor(storage: storage, byteOffset: byteOffset, shape: shape, dtype: dtype)
  }

  /// A view of some columns of the last axis.
  public func columns(_ range: Range<Int>) -> Tensor {
    Tensor(
      storage: storage, byteOffset: byteOffset + range.lowerBound * dtype.byteCount,
      shape: Shape(shape.sizes.dropLast() + [range.count]), dtype: dtype, rowStride: rowStride)
  }

  /// A view of some entries of the first axis (rank ≥ 2).
  public func rows(_ range: Range<Int>) -> Tensor {
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
}
