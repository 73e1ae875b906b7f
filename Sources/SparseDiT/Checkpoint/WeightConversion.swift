import Tensors

extension Tensor {
  /// This stored weight in f32 or bf16: itself when it has that type and is aligned for it, a copy
  /// otherwise. Rounds to nearest, ties to even.
  /// - Throws: `outOfMemory` when there is no room for the copy.
  func kept(as target: DType) throws(SparseDiTError) -> Tensor {
    if isUsable(as: target) { return self }
    let storage = try Storage(allocating: shape.count * target.byteCount)
    let copy = Tensor(storage: storage, shape: shape, dtype: target)
    switch (dtype, target) {
    case (.f16, .f32): map(UInt16.self, into: copy) { f32FromF16($0) }
    case (.bf16, .f32): map(UInt16.self, into: copy) { UInt32($0) << 16 }
    case (.f32, .bf16): map(UInt32.self, into: copy) { bf16FromF32($0) }
    case (.f16, .bf16): map(UInt16.self, into: copy) { bf16FromF32(f32FromF16($0)) }
    case _ where dtype == target:
      copy.pointer.copyMemory(from: pointer, byteCount: storage.byteCount)
    default: throw .internalFailure("weights of \(dtype) cannot be kept as \(target)")
    }
    return copy
  }

  /// Whether ``kept(as:)`` takes no copy.
  func isUsable(as target: DType) -> Bool {
    dtype == target && UInt(bitPattern: pointer) % UInt(dtype.byteCount) == 0
  }

  /// Whether no element is NaN or infinite: no exponent has all its bits set.
  var isFinite: Bool {
    switch dtype {
    case .f32: !contains(UInt32.self, exponent: 0x7F80_0000)
    case .f16: !contains(UInt16.self, exponent: 0x7C00)
    case .bf16: !contains(UInt16.self, exponent: 0x7F80)
    case .i32, .u8: true
    }
  }

  // Both loops work on bits, without calls and branches, so that the compiler vectorises them; and
  // they do not depend on how the calling thread treats subnormal numbers.

  @inline(__always)
  private func map<Source: BitwiseCopyable, Target: BitwiseCopyable>(
    _ source: Source.Type, into copy: Tensor, _ convert: (Source) -> Target
  ) {
    let input = UnsafeRawPointer(pointer)
    let output = copy.pointer.bindMemory(to: Target.self, capacity: shape.count)
    for index in 0..<shape.count {
      let offset = index &* MemoryLayout<Source>.size
      output[index] = convert(input.loadUnaligned(fromByteOffset: offset, as: Source.self))
    }
    withExtendedLifetime((self, copy)) {}
  }

  @inline(__always)
  private func contains<Bits: FixedWidthInteger & BitwiseCopyable>(
    _ bits: Bits.Type, exponent: Bits
  ) -> Bool {
    let input = UnsafeRawPointer(pointer)
    var found: Bits = 0
    for index in 0..<shape.count {
      let offset = index &* MemoryLayout<Bits>.size
      let value = input.loadUnaligned(fromByteOffset: offset, as: Bits.self)
      found |= value & exponent == exponent ? 1 : 0
    }
    withExtendedLifetime(self) {}
    return found != 0
  }
}

/// f16 bits to f32 bits, exactly.
@inline(__always)
private func f32FromF16(_ half: UInt16) -> UInt32 {
  let sign = UInt32(half & 0x8000) << 16
  let magnitude = UInt32(half & 0x7FFF)
  let subnormal = (Float(magnitude) * 0x1p-24).bitPattern
  let normal = magnitude << 13 &+ (127 - 15) << 23
  let special = magnitude << 13 | 0x7F80_0000
  return sign | (magnitude < 0x400 ? subnormal : magnitude < 0x7C00 ? normal : special)
}

/// f32 bits to bf16 bits, rounded to nearest even; NaN stays NaN.
@inline(__always)
private func bf16FromF32(_ single: UInt32) -> UInt16 {
  let rounded = (single &+ 0x7FFF &+ (single >> 16 & 1)) >> 16
  let isNaN = single & 0x7FFF_FFFF > 0x7F80_0000
  return UInt16(truncatingIfNeeded: isNaN ? single >> 16 | 0x40 : rounded)
}
