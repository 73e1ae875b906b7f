/// Turns mojibake back into what it was, as ftfy's `fix_encoding` does.
enum EncodingRepair {
  /// What ftfy repeats until nothing changes ends here too after this many rounds. Real text needs a
  /// few; a text made to need thousands would hold up its caller.
  static let maximumRounds = 64

  static func repaired(_ text: Scalars) -> Scalars {
    var text = text
    for _ in 0..<maximumRounds {
      let next = step(text)
      if next == text { break }
      text = next
    }
    return text
  }

  private static func step(_ text: Scalars) -> Scalars {
    guard !text.isASCII, Mojibake.isLikely(text) else { return text }
    var latin1: [UInt8]?
    for page in CodePage.all {
      guard let bytes = page.encoded(text) else { continue }
      if page.isLatin1 { latin1 = bytes }
      if let decoded = decoded(bytes, page) { return decoded }
    }
    let inParts = repairedInParts(text)
    if inParts != text { return inParts }
    // Latin-1 that was meant to be Windows-1252.
    if let latin1 {
      let decoded = latin1.compactMap(CodePage.windows1252.scalar)
      if decoded.count == latin1.count, decoded != text { return decoded }
    }
    return withoutC1(text)
  }

  /// Control characters beyond ASCII as what Windows-1252 has in their place.
  static func withoutC1(_ text: Scalars) -> Scalars {
    text.map { scalar in
      0x80...0x9F ~= scalar.value
        ? CodePage.windows1252.sloppyScalar(UInt8(scalar.value)) : scalar
    }
  }

  /// Bytes of a text in a code page as UTF-8, with the damage mended that often comes with mojibake.
  private static func decoded(_ bytes: [UInt8], _ page: CodePage) -> Scalars? {
    var bytes = bytes
    // In Mac Roman, an en dash before a space would be taken for such a place.
    if !page.isMacRoman { bytes = MojibakeBytes.withSpacesAsA0(bytes) }
    if page.isSloppy { bytes = MojibakeBytes.withLostSequences(bytes) }
    return UTF8Bytes.decoded(bytes, variants: bytes.contains { $0 == 0xED || $0 == 0xC0 })
  }

  // MARK: Mojibake inside other text

  /// Repairs what looks like sequences of UTF-8, each run of them by itself.
  private static func repairedInParts(_ text: Scalars) -> Scalars {
    text.rewriting { text, place in
      guard place == 0 || MojibakeClass.of(text[place - 1]).isDisjoint(with: .strictContinuation)
      else { return nil }
      let end = endOfSequences(text, place)
      guard end > place else { return nil }
      let part = Array(text.scalars[place..<end])
      // A part that is the whole would be looked at for ever.
      return (end, part.count < text.count && Mojibake.isLikely(part) ? repaired(part) : part)
    }
  }

  private static func endOfSequences(_ text: TextView, _ place: Int) -> Int {
    var end = place
    while text.has(end, { _ in true }) {
      let first = MojibakeClass.of(text[end])
      func goesOn(_ length: Int) -> Bool {
        (1..<length).allSatisfy { offset in
          text.has(end + offset) { MojibakeClass.of($0).contains(.continuation) }
        }
      }
      if first.contains(.firstOf2), goesOn(2) {
        end += 2
      } else if first.contains(.firstOf3), goesOn(3) {
        end += 3
      } else if first.contains(.firstOf4), goesOn(4) {
        end += 4
      } else {
        break
      }
    }
    return end
  }
}

/// Repairs of bytes that nearly are UTF-8.
private enum MojibakeBytes {
  /// With A0 for spaces that a program put there since A0 is a space in Windows-1252, where that makes
  /// a likely sequence of UTF-8.
  static func withSpacesAsA0(_ bytes: [UInt8]) -> [UInt8] {
    guard bytes.indices.contains(where: { alteredLength(bytes, $0) != nil }) else { return bytes }
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    let bytes = withWordsOfA(bytes)
    var place = 0
    while place < bytes.count {
      let length = alteredLength(bytes, place)
      for byte in bytes[place..<(place + (length ?? 1))] {
        result.append(length != nil && byte == 0x20 ? 0xA0 : byte)
      }
      place += length ?? 1
    }
    return result
  }

  /// "Ã " is mostly the word "à" and a space of its own, but in Portuguese words.
  private static func withWordsOfA(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    let parts = [" ", "quele", "quela", "quilo", "s "].map { Array($0.utf8) }
    for (place, byte) in bytes.enumerated() {
      result.append(byte)
      if byte == 0xC3, place + 1 < bytes.count, bytes[place + 1] == 0x20,
        !parts.contains(where: { bytes[(place + 2)...].starts(with: $0) })
      {
        result.append(0xA0)
      }
    }
    return result
  }

  /// The length of a sequence with a space in it that makes a likely character with A0 there.
  private static func alteredLength(_ bytes: [UInt8], _ place: Int) -> Int? {
    func byte(_ offset: Int) -> UInt8 {
      place + offset < bytes.count ? bytes[place + offset] : 0
    }
    func goesOn(_ offset: Int) -> Bool { 0x80...0xBF ~= byte(offset) }
    func isSpace(_ offset: Int) -> Bool { byte(offset) == 0x20 }
    // Neither A0 itself nor 85, which is often an ellipsis.
    func isLikely(_ offset: Int) -> Bool {
      goesOn(offset) && byte(offset) != 0xA0 && byte(offset) != 0x85
    }
    switch byte(0) {
    case 0xC2, 0xC3, 0xC5, 0xCE, 0xD0, 0xD9: return isSpace(1) ? 2 : nil
    case 0xE0...0xE3:
      if byte(0) >= 0xE2, isSpace(1), isLikely(2) { return 3 }
      return isLikely(1) && isSpace(2) ? 3 : nil
    case 0xF0:
      let spaces = (1...3).filter(isSpace)
      return spaces.count == 1 && (1...3).allSatisfy { isSpace($0) || goesOn($0) } ? 4 : nil
    default: return nil
    }
  }

  /// With U+FFFD for sequences in which bytes were lost, which 1A stands for, once also `?`.
  static func withLostSequences(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var place = 0
    while place < bytes.count {
      if let length = lostLength(bytes, place) {
        result += [0xEF, 0xBF, 0xBD]
        place += length
      } else {
        result.append(bytes[place])
        place += 1
      }
    }
    return result
  }

  private static func lostLength(_ bytes: [UInt8], _ place: Int) -> Int? {
    func byte(_ offset: Int) -> UInt8 {
      place + offset < bytes.count ? bytes[place + offset] : 0
    }
    func isLost(_ offset: Int) -> Bool { byte(offset) == 0x1A || byte(offset) == 0x3F }
    func mayGoOn(_ offset: Int) -> Bool { 0x80...0xBF ~= byte(offset) || byte(offset) == 0x1A }
    /// Whether one of the bytes is lost and all others go on; a `?` counts once.
    func isLossy(_ length: Int) -> Bool {
      let offsets = 1..<length
      return offsets.contains { lost in
        isLost(lost) && offsets.allSatisfy { $0 == lost || mayGoOn($0) }
      }
    }
    switch byte(0) {
    case 0x1A: return 1
    case 0xC2...0xDF: return byte(1) == 0x1A || byte(0) <= 0xC3 && byte(1) == 0x3F ? 2 : nil
    case 0xE0...0xEF: return lostPairLength(byte) ?? (isLossy(3) ? 3 : nil)
    case 0xF0...0xF4: return isLossy(4) ? 4 : nil
    default: return nil
    }
  }

  /// Two surrogates of three bytes each, of which the last byte of one or both was lost.
  private static func lostPairLength(_ byte: (Int) -> UInt8) -> Int? {
    func isLost(_ offset: Int) -> Bool { byte(offset) == 0x1A || byte(offset) == 0x3F }
    guard byte(0) == 0xED, 0xA0...0xAF ~= byte(1), byte(3) == 0xED, 0xB0...0xBF ~= byte(4),
      isLost(2) || isLost(5), isLost(2) || 0x80...0xBF ~= byte(2),
      isLost(5) || 0x80...0xBF ~= byte(5)
    else { return nil }
    return 6
  }
}
