/// An encoding with one byte per character, as ftfy uses it: ASCII below 80, and bytes that stand for
/// nothing may stand for the control character of their number ("sloppy", as in browsers).
struct CodePage: Sendable {
  /// What the bytes 80 to FF stand for; nil where nothing is assigned.
  private let upper: [Unicode.Scalar?]
  private let bytes: [Unicode.Scalar: UInt8]
  /// Whether bytes are assigned that the standard leaves out. Byte 1A then stands for U+FFFD, as a
  /// mark of a byte that was lost.
  let isSloppy: Bool
  let isMacRoman: Bool
  let isLatin1: Bool

  private init(
    _ upper: [Unicode.Scalar?], isSloppy: Bool = false, isMacRoman: Bool = false,
    isLatin1: Bool = false
  ) {
    self.upper = upper
    self.isSloppy = isSloppy
    self.isMacRoman = isMacRoman
    self.isLatin1 = isLatin1
    var bytes: [Unicode.Scalar: UInt8] = isSloppy ? ["\u{FFFD}": 0x1A] : [:]
    for (index, scalar) in upper.enumerated() {
      let byte = UInt8(0x80 + index)
      if let scalar = scalar ?? (isSloppy ? Unicode.Scalar(byte) : nil) { bytes[scalar] = byte }
    }
    self.bytes = bytes
  }

  /// Those that mojibake is looked for in, in this order: Latin-1, Windows-1252, 1251, 1250, 1253,
  /// 1254, 1257, ISO 8859-2, Mac Roman, code page 437.
  static let all: [CodePage] = {
    let codes = codePageTable.split(whereSeparator: \.isWhitespace).map { code in
      UInt32(code, radix: 16).flatMap(Unicode.Scalar.init)
    }
    let pages = (0..<codes.count / 128).map { page in
      CodePage(
        Array(codes[(128 * page)..<(128 * (page + 1))]), isSloppy: page < 6, isMacRoman: page == 7)
    }
    return [CodePage((0x80...0xFF).map { Unicode.Scalar($0) }, isLatin1: true)] + pages
  }()
  static var windows1252: CodePage { all[1] }

  /// The text's bytes; nil when a character is not in this code page.
  func encoded(_ text: Scalars) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    for scalar in text {
      if scalar.isASCII {
        guard !isSloppy || scalar != "\u{1A}" else { return nil }
        result.append(UInt8(scalar.value))
      } else {
        guard let byte = bytes[scalar] else { return nil }
        result.append(byte)
      }
    }
    return result
  }

  /// What a byte of 80 and more stands for, and below itself; nil when nothing is assigned.
  func scalar(_ byte: UInt8) -> Unicode.Scalar? {
    byte < 0x80 ? Unicode.Scalar(byte) : upper[Int(byte) - 0x80]
  }

  /// The same, where the number itself is assigned if nothing else is.
  func sloppyScalar(_ byte: UInt8) -> Unicode.Scalar { scalar(byte) ?? Unicode.Scalar(byte) }
}
