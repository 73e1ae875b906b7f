/// Bytes as UTF-8, read as Python reads them and as ftfy reads two variants of it.
enum UTF8Bytes {
  /// Each longest beginning of a sequence that does not go on becomes one U+FFFD.
  static func decodedWithReplacement(_ bytes: [UInt8]) -> Scalars {
    var result: Scalars = []
    result.reserveCapacity(bytes.count)
    var place = 0
    while place < bytes.count {
      let (scalar, length) = next(bytes, place)
      result.append(scalar ?? "\u{FFFD}")
      place += length
    }
    return result
  }

  /// - Parameter variants: whether to read also CESU-8, where a character beyond U+FFFF is a pair of
  ///   surrogates of three bytes each, and Java's NUL of two bytes.
  /// - Returns: nil when the bytes are not that.
  static func decoded(_ bytes: [UInt8], variants: Bool) -> Scalars? {
    var result: Scalars = []
    result.reserveCapacity(bytes.count)
    var place = 0
    while place < bytes.count {
      if variants, let (scalar, length) = variant(bytes, place) {
        result.append(scalar)
        place += length
        continue
      }
      let (scalar, length) = next(bytes, place)
      guard let scalar else { return nil }
      result.append(scalar)
      place += length
    }
    return result
  }

  /// The sequence at a place; without a character when it is none, and then as long as the part of it
  /// that could have begun one. At least one byte.
  private static func next(
    _ bytes: [UInt8], _ place: Int
  ) -> (scalar: Unicode.Scalar?, length: Int) {
    let first = bytes[place]
    let length: Int
    // What the second byte may be; the Unicode Standard, table 3-7.
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch first {
    case 0...0x7F: return (Unicode.Scalar(first), 1)
    case 0xC2...0xDF: length = 2
    case 0xE0...0xEF:
      length = 3
      if first == 0xE0 { second = 0xA0...0xBF }
      if first == 0xED { second = 0x80...0x9F }
    case 0xF0...0xF4:
      length = 4
      if first == 0xF0 { second = 0x90...0xBF }
      if first == 0xF4 { second = 0x80...0x8F }
    default: return (nil, 1)
    }
    var value = UInt32(first) & (0xFF >> UInt32(length + 1))
    for offset in 1..<length {
      guard place + offset < bytes.count,
        (offset == 1 ? second : 0x80...0xBF).contains(bytes[place + offset])
      else { return (nil, offset) }
      value = value << 6 | UInt32(bytes[place + offset] & 0x3F)
    }
    return (Unicode.Scalar(value), length)
  }

  /// ftfy looks for these by regular expressions whose `$` stands also before a line feed at the end,
  /// so that this one may be taken for the last byte.
  private static func variant(_ bytes: [UInt8], _ place: Int) -> (Unicode.Scalar, Int)? {
    func byte(_ offset: Int) -> UInt8? {
      place + offset < bytes.count ? bytes[place + offset] : nil
    }
    func isLast(_ offset: Int) -> Bool {
      byte(offset) == 0x0A && place + offset + 1 == bytes.count
    }
    if byte(0) == 0xC0, byte(1) == 0x80 || isLast(1) { return ("\0", 2) }
    guard byte(0) == 0xED, let a = byte(1), let b = byte(2), byte(3) == 0xED, let c = byte(4),
      let d = byte(5), 0xA0...0xAF ~= a, 0x80...0xBF ~= b, 0xB0...0xBF ~= c,
      0x80...0xBF ~= d || isLast(5)
    else { return nil }
    let high = UInt32(a & 0x0F) << 16 | UInt32(b & 0x3F) << 10
    let value = high + UInt32(c & 0x0F) << 6 + UInt32(d & 0x3F) + 0x10000
    return Unicode.Scalar(value).map { ($0, 6) }
  }
}
