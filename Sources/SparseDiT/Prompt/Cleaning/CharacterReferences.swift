/// HTML's character references: `&eacute;`, `&#233;`, `&#xE9;`.
struct CharacterReferences: Sendable {
  /// What is known, read once.
  static let html5 = CharacterReferences(table: characterReferenceTable)

  private struct Reference {
    let value: Scalars
    /// Whether it stands for something without a semicolon too.
    let isLegacy: Bool
  }

  /// By name, without the semicolon. Bytes, since strings are equal when they look the same.
  private let named: [[UInt8]: Reference]
  private let longestLegacy: Int

  private init(table: String) {
    var named: [[UInt8]: Reference] = [:]
    for word in table.utf8.split(whereSeparator: { $0 == 0x20 || $0 == 0x0A }) {
      guard let mark = word.firstIndex(where: { $0 == 0x3D || $0 == 0x3A }) else { continue }
      let codes = Substring(word[word.index(after: mark)...])
      named[Array(word[..<mark])] = Reference(
        value: Scalars(codes: codes), isLegacy: word[mark] == 0x3A)
    }
    self.named = named
    longestLegacy = named.filter(\.value.isLegacy).map(\.key.count).max() ?? 0
  }

  /// What a name stands for where the semicolon does not matter, as in Beautiful Soup.
  subscript(name: ArraySlice<Unicode.Scalar>) -> Scalars? { reference(name)?.value }

  private func reference(_ name: ArraySlice<Unicode.Scalar>) -> Reference? {
    name.allSatisfy(\.isASCII) ? named[name.map { UInt8($0.value) }] : nil
  }

  // MARK: Python's html.unescape

  /// `html.unescape`: all references of HTML5, the broken ones as browsers take them.
  func unescaped(_ text: Scalars) -> Scalars {
    guard text.contains("&") else { return text }
    return text.rewriting { text, place in
      text[place] == "&" ? numeric(text, place) ?? nameReference(text, place) : nil
    }
  }

  /// `&#`, digits, and a semicolon if there is one.
  private func numeric(_ text: TextView, _ place: Int) -> (end: Int, replacement: Scalars)? {
    guard text[place + 1] == "#" else { return nil }
    let isHex = text[place + 2] == "x" || text[place + 2] == "X"
    let start = place + (isHex ? 3 : 2)
    var end = text.run(start) { isHex ? $0.isHexDigit : $0.isASCIIDigit }
    guard end > start else { return nil }
    let value = Self.number(text.scalars[start..<end], radix: isHex ? 16 : 10)
    if text[end] == ";" { end += 1 }
    return (end, Self.character(value))
  }

  /// A number, or `UInt32.max` when it is larger than any code point.
  static func number(_ digits: ArraySlice<Unicode.Scalar>, radix: Int) -> UInt32 {
    var value: UInt32 = 0
    for digit in digits {
      value = value * UInt32(radix) + UInt32(Character(digit).hexDigitValue ?? 0)
      if value > 0x10FFFF { return .max }
    }
    return value
  }

  /// The HTML standard's rules for numbers: control characters are those of Windows-1252, what is no
  /// character is left out.
  private static func character(_ value: UInt32) -> Scalars {
    switch value {
    case 0: return ["\u{FFFD}"]
    case 0x80...0x9F: return [CodePage.windows1252.sloppyScalar(UInt8(value))]
    case 1...8, 0xB, 0xE...0x1F, 0x7F, 0xFDD0...0xFDEF: return []
    default:
      guard let scalar = Unicode.Scalar(value) else { return ["\u{FFFD}"] }
      return value & 0xFFFE == 0xFFFE ? [] : [scalar]
    }
  }

  /// `&` and up to 32 characters of a name, and a semicolon if there is one. Of a name that is not
  /// known, the longest beginning that is one counts.
  private func nameReference(_ text: TextView, _ place: Int) -> (end: Int, replacement: Scalars)? {
    var end = place + 1
    while end - place <= 32, text.has(end, Self.isInName) { end += 1 }
    guard end > place + 1 else { return nil }
    let name = text.scalars[(place + 1)..<end]
    if text.has(end, { $0 == ";" }) {
      if let reference = reference(name) { return (end + 1, reference.value) }
      end += 1
    }
    var length = min(name.count, longestLegacy)
    while length > 1 {
      if let reference = reference(name.prefix(length)), reference.isLegacy {
        return (end, reference.value + text.scalars[(place + 1 + length)..<end])
      }
      length -= 1
    }
    return (end, Array(text.scalars[place..<end]))
  }

  private static func isInName(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "\t", "\n", "\u{C}", " ", "<", "&", "#", ";": false
    default: true
    }
  }

  // MARK: ftfy's unescape_html

  /// References that end with a semicolon, and no others; some also by their name in capitals, for
  /// their capital letter.
  func unescapedStrictly(_ text: Scalars) -> Scalars {
    guard text.contains("&") else { return text }
    return text.rewriting { text, place in
      guard text[place] == "&" else { return nil }
      let start = text[place + 1] == "#" ? place + 2 : place + 1
      var end = start
      while end - start < 24, text.has(end, \.isASCIIAlphanumeric) { end += 1 }
      guard end > start, text.has(end, { $0 == ";" }) else { return nil }
      return (end + 1, strictValue(Array(text.scalars[place...end])))
    }
  }

  private func strictValue(_ reference: Scalars) -> Scalars {
    if reference[1] == "#" {
      let value = unescaped(reference)
      return value.contains(";") ? reference : value
    }
    let name = reference[1..<(reference.count - 1)]
    if let value = self[name] { return value }
    guard !name.contains(where: \.isASCIILower), let value = self[name.lowercased()[...]],
      unescaped(reference) == reference
    else { return reference }
    return value.flatMap { Array($0.properties.uppercaseMapping.unicodeScalars) }
  }
}

extension [Unicode.Scalar] {
  /// Hexadecimal code points with commas between them.
  init(codes: some StringProtocol) {
    self = codes.split(separator: ",").compactMap { code in
      UInt32(code, radix: 16).flatMap(Unicode.Scalar.init)
    }
  }
}
