/// Walks over the fields of one protobuf message, checking every length against the bytes there are.
struct ProtobufReader {
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  struct Field {
    let number: UInt64
    let value: Value
  }

  enum Value {
    case varint(UInt64)
    case fixed32(UInt32)
    case fixed64(UInt64)
    /// A string, bytes or nested message.
    case bytes(UnsafeRawBufferPointer)
  }

  /// The bytes are not a protobuf message.
  struct Malformed: Error {}

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// The next field; nil at the end of the message.
  mutating func next() throws(Malformed) -> Field? {
    guard position < bytes.count else { return nil }
    let tag = try varint()
    let number = tag >> 3
    guard number > 0 else { throw Malformed() }
    switch tag & 7 {
    case 0: return Field(number: number, value: .varint(try varint()))
    case 1: return Field(number: number, value: .fixed64(try fixed(UInt64.self)))
    case 2: return Field(number: number, value: .bytes(try delimited()))
    case 5: return Field(number: number, value: .fixed32(try fixed(UInt32.self)))
    default: throw Malformed()
    }
  }

  private mutating func varint() throws(Malformed) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 70, by: 7) {
      guard position < bytes.count else { throw Malformed() }
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7F) << UInt64(shift)
      if byte < 0x80 { return value }
    }
    throw Malformed()
  }

  private mutating func fixed<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type
  ) throws(Malformed) -> T {
    guard bytes.count - position >= MemoryLayout<T>.size else { throw Malformed() }
    defer { position += MemoryLayout<T>.size }
    return T(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: T.self))
  }

  private mutating func delimited() throws(Malformed) -> UnsafeRawBufferPointer {
    let count = try varint()
    guard count <= UInt64(bytes.count - position) else { throw Malformed() }
    defer { position += Int(count) }
    return UnsafeRawBufferPointer(rebasing: bytes[position..<position + Int(count)])
  }
}
