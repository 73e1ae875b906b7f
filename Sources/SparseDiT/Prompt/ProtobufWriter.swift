/// Writes the fields of one protobuf message.
struct ProtobufWriter {
  private(set) var bytes: [UInt8] = []

  mutating func varint(_ number: UInt64, _ value: UInt64) {
    append(number << 3)
    append(value)
  }

  mutating func fixed32(_ number: UInt64, _ value: UInt32) {
    append(number << 3 | 5)
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// A string, bytes or nested message.
  mutating func delimited(_ number: UInt64, _ value: some Collection<UInt8>) {
    append(number << 3 | 2)
    append(UInt64(value.count))
    bytes.append(contentsOf: value)
  }

  private mutating func append(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}
