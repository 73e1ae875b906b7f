import Tensors

extension Tensor {
  /// This tensor in f32 or bf16: itself when it has that type and is aligned for it, a copy otherwise.
  /// Rounds to nearest, ties to even.
  func kept(as target: DType) throws(SparseDiTError) -> Tensor {
    let isAligned = UInt(bitPattern: pointer) % UInt(dtype.byteCount) == 0
    if dtype == target && isAligned { return self }
    let storage = try Storage(allocating: shape.count * target.byteCount)
    let copy = Tensor(storage: storage, shape: shape, dtype: target)
    if dtype == target {
      copy.pointer.copyMemory(from: pointer, byteCount: shape.count * dtype.byteCount)
      return copy
    }
    for index in 0..<shape.count {
      let value = element(index)
      switch target {
      case .f32:
        copy.pointer.storeBytes(of: value, toByteOffset: index * 4, as: Float.self)
      default:
        copy.pointer.storeBytes(of: bfloat16(value), toByteOffset: index * 2, as: UInt16.self)
      }
    }
    return copy
  }

  /// Whether no element is NaN or infinite.
  var isFinite: Bool { (0..<shape.count).allSatisfy { element($0).isFinite } }

  private func element(_ index: Int) -> Float {
    let raw = UnsafeRawPointer(pointer)
    switch dtype {
    case .f32: return raw.loadUnaligned(fromByteOffset: index * 4, as: Float.self)
    case .f16: return Float(raw.loadUnaligned(fromByteOffset: index * 2, as: Float16.self))
    case .bf16:
      let bits = raw.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
      return Float(bitPattern: UInt32(bits) << 16)
    case .i32: return Float(raw.loadUnaligned(fromByteOffset: index * 4, as: Int32.self))
    case .u8: return Float(raw.load(fromByteOffset: index, as: UInt8.self))
    }
  }
}

private func bfloat16(_ value: Float) -> UInt16 {
  if value.isNaN { return 0x7FC0 }
  let bits = value.bitPattern
  return UInt16((bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
}
