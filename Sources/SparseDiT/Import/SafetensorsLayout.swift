import Tensors

/// A safetensors file that is to be written: its tensors one after the other by name, all of one type.
struct SafetensorsLayout {
  let tensors: [SourceTensor]
  let format: ImportOptions.Format
  /// The length of the header and the header itself.
  let header: [UInt8]
  /// Bytes of the whole file.
  let byteCount: Int

  /// - Throws: `unsupported` for a tensor of another type than F32, F16 and BF16; `invalidData` when
  ///   two tensors have one name or the sizes do not fit in 64 bits.
  init(_ tensors: [SourceTensor], as format: ImportOptions.Format) throws(SparseDiTError) {
    self.tensors = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    self.format = format
    for (first, second) in zip(self.tensors, self.tensors.dropFirst())
    where first.name == second.name {
      throw .invalidData("\(second.place): is also in \(first.file.name)")
    }
    var text = #"{"__metadata__":{"format":"pt"}"#
    var end = 0
    for tensor in self.tensors {
      _ = try tensor.floatType()
      let begin = end
      // A tensor has fewer elements than its file has bytes, but a name may be given to many.
      let (sum, overflow) = end.addingReportingOverflow(tensor.shape.count * format.byteCount)
      guard !overflow else { throw .invalidData("\(tensor.place): too many bytes in all") }
      end = sum
      // In the order in which the safetensors library writes the keys.
      text += ",\(JSONValue.string(tensor.name).line):{\"dtype\":\"\(format.storedType.rawValue)\""
      text += ",\"shape\":\(JSONValue.array(tensor.shape.sizes.map { .integer($0) }).line)"
      text += ",\"data_offsets\":[\(begin),\(end)]}"
    }
    text += "}"
    // Spaces bring the tensors to a multiple of 8 bytes, so that they can be used in place.
    let padding = (8 - text.utf8.count % 8) % 8
    let bytes = Array(text.utf8) + Array(repeating: UInt8(ascii: " "), count: padding)
    header = withUnsafeBytes(of: UInt64(bytes.count).littleEndian, Array.init) + bytes
    guard bytes.count <= JSONParser.maximumBytes, end <= Int.max - header.count else {
      throw .invalidData("a model of \(self.tensors.count) tensors is too large")
    }
    byteCount = header.count + end
  }

  /// Hands out the bytes of the file in pieces of a few MiB.
  ///
  /// - Throws: `unsupported` for a value that f16 cannot hold, what `body` throws.
  func write(
    _ body: (UnsafeRawBufferPointer) throws(SparseDiTError) -> Void
  ) throws(SparseDiTError) {
    let start = try Storage(allocating: header.count)
    UnsafeMutableRawBufferPointer(start: start.base, count: header.count).copyBytes(from: header)
    try body(UnsafeRawBufferPointer(start: start.base, count: header.count))
    withExtendedLifetime(start) {}
    for tensor in tensors {
      try tensor.forEachPiece { piece throws(SparseDiTError) in
        let stored = try piece.stored(as: format, of: tensor)
        try body(
          UnsafeRawBufferPointer(
            start: stored.pointer, count: stored.shape.count * stored.dtype.byteCount))
        withExtendedLifetime(stored) {}
      }
    }
  }

}

extension ImportOptions.Format {
  var byteCount: Int { self == .f32 ? 4 : 2 }

  var storedType: SafetensorsFile.StoredType {
    switch self {
    case .bf16: .bf16
    case .f32: .f32
    case .f16: .f16
    }
  }
}

extension Tensor {
  /// These elements in another type, rounded to nearest, ties to even.
  ///
  /// - Parameter source: the tensor that they belong to, for messages.
  /// - Throws: `unsupported` where a finite number becomes infinite in f16.
  fileprivate func stored(
    as format: ImportOptions.Format, of source: SourceTensor
  ) throws(SparseDiTError) -> Tensor {
    switch format {
    case .f32: return try kept(as: .f32)
    case .bf16: return try kept(as: .bf16)
    case .f16: return dtype == .f16 ? self : try half(of: source)
    }
  }

  private func half(of source: SourceTensor) throws(SparseDiTError) -> Tensor {
    let single = try kept(as: .f32)
    let half = Tensor(
      storage: try Storage(allocating: shape.count * 2), shape: shape, dtype: .f16)
    let output = half.pointer.bindMemory(to: UInt16.self, capacity: shape.count)
    let input = UnsafeRawPointer(single.pointer)
    for index in 0..<shape.count {
      let value = Float(
        bitPattern: input.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
      let rounded = halfBits(value)
      if rounded & 0x7FFF == 0x7C00, value.isFinite {
        throw .unsupported("\(source.place): \(value) is more than f16 holds: choose bf16")
      }
      output[index] = rounded
    }
    withExtendedLifetime((single, half)) {}
    return half
  }
}

/// f32 to f16 bits, rounded to nearest even; what is too large becomes infinite, NaN stays NaN.
func halfBits(_ value: Float) -> UInt16 {
  let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
  let magnitude = value.bitPattern & 0x7FFF_FFFF
  if magnitude > 0x7F80_0000 { return sign | 0x7E00 }
  // 65520 is halfway between the largest f16 and what would be the next.
  if magnitude >= 0x477F_F000 { return sign | 0x7C00 }
  if magnitude < 0x3880_0000 {
    // Below 2^-14 all have the same step, 2^-24, which adding 2^-1 rounds to in f32.
    let rounded = Float(bitPattern: magnitude) + 0x1p-1
    return sign | UInt16(truncatingIfNeeded: rounded.bitPattern &- (0x1p-1 as Float).bitPattern)
  }
  let rounded = magnitude &+ 0xFFF &+ (magnitude >> 13 & 1)
  return sign | UInt16(truncatingIfNeeded: (rounded &- (112 << 23)) >> 13)
}
