extension [Unicode.Scalar] {
  /// `urllib.parse.unquote_plus`: `+` becomes a space, `%` and two hexadecimal digits a byte. Bytes
  /// that are not UTF-8 become U+FFFD.
  func unquotedPlus() -> Scalars {
    let text = map { $0 == "+" ? " " : $0 }
    guard text.contains("%") else { return text }
    var result: Scalars = []
    result.reserveCapacity(count)
    // Characters beyond ASCII end a sequence of bytes.
    for part in text.split(omittingEmptySubsequences: true, whereSeparatorChanges: \.isASCII) {
      if part.first?.isASCII == true, part.contains("%") {
        result.append(contentsOf: UTF8Bytes.decodedWithReplacement(Self.unquotedBytes(part)))
      } else {
        result.append(contentsOf: part)
      }
    }
    return result
  }

  private static func unquotedBytes(_ text: ArraySlice<Unicode.Scalar>) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    var place = text.startIndex
    while place < text.endIndex {
      if text[place] == "%", place + 2 < text.endIndex,
        let high = hexValue(text[place + 1]), let low = hexValue(text[place + 2])
      {
        bytes.append(high << 4 | low)
        place += 3
      } else {
        bytes.append(UInt8(truncatingIfNeeded: text[place].value))
        place += 1
      }
    }
    return bytes
  }

  private static func hexValue(_ scalar: Unicode.Scalar) -> UInt8? {
    Character(scalar).isASCII ? Character(scalar).hexDigitValue.map(UInt8.init) : nil
  }
}

extension Array {
  /// Runs of elements for which a test gives the same.
  fileprivate func split(
    omittingEmptySubsequences: Bool, whereSeparatorChanges test: (Element) -> Bool
  ) -> [ArraySlice<Element>] {
    var parts: [ArraySlice<Element>] = []
    var start = 0
    for index in indices.dropFirst() where test(self[index]) != test(self[index - 1]) {
      parts.append(self[start..<index])
      start = index
    }
    if start < count { parts.append(self[start...]) }
    return parts
  }
}
