import Tensors

/// Reads JSON from bytes, strictly by RFC 8259 and with these rules on top: keys of an object are
/// unique, text is valid UTF-8, and length, nesting and number of values are limited.
///
/// With `allowsNonFinite` it also takes the words `NaN`, `Infinity` and `-Infinity`, which Python's
/// `json` module writes into diffusers' configs.
struct JSONParser {
  private let name: String
  private let bytes: UnsafeRawBufferPointer
  private let allowsNonFinite: Bool
  private var position = 0
  private var valuesLeft = maximumValues

  /// The limit of safetensors on its header, in bytes; configs are far smaller.
  static let maximumBytes = 100_000_000
  /// Some 100,000 tensors; keeps a crafted file from taking many times its size in memory.
  static let maximumValues = 1 << 20
  /// Deeper nesting than any config has; keeps the recursion within a small thread's stack.
  private static let maximumDepth = 64

  /// - Parameter name: what messages call the text, for example the file's name.
  /// - Throws: `invalidData` that names the text, the place (byte offset) and what is wrong there.
  static func parse(
    _ bytes: UnsafeRawBufferPointer, name: String, allowsNonFinite: Bool
  ) throws(SparseDiTError) -> JSONValue {
    guard bytes.count <= maximumBytes else {
      throw .invalidData("\(name): \(bytes.count) bytes are too many (at most \(maximumBytes))")
    }
    var parser = JSONParser(name: name, bytes: bytes, allowsNonFinite: allowsNonFinite)
    let value = try parser.value(depth: 0)
    parser.skipSpace()
    guard parser.position == bytes.count else { throw parser.error("text after the JSON value") }
    return value
  }

  private init(name: String, bytes: UnsafeRawBufferPointer, allowsNonFinite: Bool) {
    self.name = name
    self.bytes = bytes
    self.allowsNonFinite = allowsNonFinite
  }

  private func error(_ message: String, at offset: Int? = nil) -> SparseDiTError {
    .invalidData("\(name): not valid JSON: \(message) at byte \(offset ?? position)")
  }

  // MARK: Values

  private mutating func value(depth: Int) throws(SparseDiTError) -> JSONValue {
    guard depth < JSONParser.maximumDepth else { throw error("nested too deeply") }
    guard valuesLeft > 0 else { throw error("more than \(JSONParser.maximumValues) values") }
    valuesLeft -= 1
    skipSpace()
    guard let byte = peek() else { throw error("the text ends where a value should be") }
    switch byte {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: return try word()
    }
  }

  private mutating func object(depth: Int) throws(SparseDiTError) -> JSONValue {
    position += 1
    var members: [String: JSONValue] = [:]
    if takeAfterSpace("}") { return .object(members) }
    repeat {
      skipSpace()
      let start = position
      guard peek() == UInt8(ascii: "\"") else { throw error("expected a key in quotes") }
      let key = try string()
      guard takeAfterSpace(":") else { throw error("expected ':'") }
      let member = try value(depth: depth + 1)
      guard members.updateValue(member, forKey: key) == nil else {
        throw error("duplicate key \(JSONValue.quoted(key))", at: start)
      }
    } while takeAfterSpace(",")
    guard takeAfterSpace("}") else { throw error("expected ',' or '}'") }
    return .object(members)
  }

  private mutating func array(depth: Int) throws(SparseDiTError) -> JSONValue {
    position += 1
    var elements: [JSONValue] = []
    if takeAfterSpace("]") { return .array(elements) }
    repeat {
      elements.append(try value(depth: depth + 1))
    } while takeAfterSpace(",")
    guard takeAfterSpace("]") else { throw error("expected ',' or ']'") }
    return .array(elements)
  }

  private mutating func word() throws(SparseDiTError) -> JSONValue {
    if take("true") { return .bool(true) }
    if take("false") { return .bool(false) }
    if take("null") { return .null }
    if allowsNonFinite {
      if take("NaN") { return .number(.nan) }
      if take("Infinity") { return .number(.infinity) }
    }
    throw error("unexpected character")
  }

  // MARK: Numbers

  private mutating func number() throws(SparseDiTError) -> JSONValue {
    let start = position
    if take("-") && allowsNonFinite && take("Infinity") { return .number(-.infinity) }
    let hasLeadingZero = peek() == UInt8(ascii: "0")
    let digits = takeDigits()
    guard digits > 0, digits == 1 || !hasLeadingZero else {
      throw error("malformed number", at: start)
    }
    var isInteger = true
    if take(".") {
      isInteger = false
      guard takeDigits() > 0 else { throw error("malformed number", at: start) }
    }
    if take("e") || take("E") {
      isInteger = false
      _ = take("+") || take("-")
      guard takeDigits() > 0 else { throw error("malformed number", at: start) }
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let value = Int(text) { return .integer(value) }
    // Swift's conversion does not depend on the locale, as strtod does.
    guard let value = Double(text) else { throw error("malformed number", at: start) }
    return .number(value)
  }

  private mutating func takeDigits() -> Int {
    let start = position
    while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
      position += 1
    }
    return position - start
  }

  // MARK: Strings

  private mutating func string() throws(SparseDiTError) -> String {
    let start = position
    position += 1
    var text: [UInt8] = []
    while let byte = peek() {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw error("a string that is not UTF-8", at: start)
        }
        return string
      case UInt8(ascii: "\\"): text.append(contentsOf: String(try escape()).utf8)
      case 0..<0x20: throw error("control character in a string", at: position - 1)
      default: text.append(byte)
      }
    }
    throw error("a string that does not end", at: start)
  }

  /// The character after a backslash.
  private mutating func escape() throws(SparseDiTError) -> Unicode.Scalar {
    let start = position - 1
    guard let byte = peek() else { throw error("a string that does not end", at: start) }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"):
      var code = try hexQuad(start)
      if (0xD800..<0xDC00).contains(code), take("\\u") {
        let low = try hexQuad(start)
        guard (0xDC00..<0xE000).contains(low) else {
          throw error("half a surrogate pair", at: start)
        }
        code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else {
        throw error("half a surrogate pair", at: start)
      }
      return scalar
    default: throw error("unknown escape", at: start)
    }
  }

  private mutating func hexQuad(_ start: Int) throws(SparseDiTError) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw error("malformed \\u escape", at: start)
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }

  // MARK: Bytes

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  private mutating func take(_ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    guard bytes.count - position >= count else { return false }
    for index in 0..<count where bytes[position + index] != word.utf8Start[index] { return false }
    position += count
    return true
  }

  private mutating func takeAfterSpace(_ word: StaticString) -> Bool {
    skipSpace()
    return take(word)
  }
}
