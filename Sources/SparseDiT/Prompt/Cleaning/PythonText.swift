/// What the cleaning works on: one element is one code point, as in a string of Python.
typealias Scalars = [Unicode.Scalar]

/// The classes of characters that Python's strings and regular expressions know. Characters that are
/// newer than the Unicode version of a Python may differ.
extension Unicode.Scalar {
  /// `\s`, `str.isspace`: Unicode white space and the four ASCII separators.
  var isPythonSpace: Bool {
    value < 0x80
      ? (9...13).contains(value) || (0x1C...0x20).contains(value) : properties.isWhitespace
  }

  /// `\w`: letters, whatever has a numeric value, and `_`.
  var isPythonWord: Bool {
    if value < 0x80 { return isASCIIAlphanumeric || self == "_" }
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
      return true
    default: return properties.numericType != nil
    }
  }

  /// `\d`: decimal digits of any script.
  var isPythonDigit: Bool {
    value < 0x80 ? isASCIIDigit : properties.numericType == .decimal
  }

  var isASCII: Bool { value < 0x80 }
  var isASCIILower: Bool { ("a"..."z").contains(self) }
  var isASCIILetter: Bool { isASCIILower || ("A"..."Z").contains(self) }
  var isASCIIDigit: Bool { ("0"..."9").contains(self) }
  var isASCIIAlphanumeric: Bool { isASCIILetter || isASCIIDigit }
  var isHexDigit: Bool { properties.isASCIIHexDigit }
}

extension [Unicode.Scalar] {
  var isASCII: Bool { allSatisfy(\.isASCII) }

  var string: String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: self)
    return String(view)
  }

  /// `str.strip()`.
  func stripped() -> Scalars {
    let end = lastIndex { !$0.isPythonSpace }.map { $0 + 1 } ?? 0
    return Array(self[..<end].drop(while: \.isPythonSpace))
  }

  /// `str.lower()`.
  func lowercased() -> Scalars {
    var result: Scalars = []
    result.reserveCapacity(count)
    for (index, scalar) in enumerated() {
      if scalar.value < 0x80 {
        result.append(scalar.isASCIILetter ? Unicode.Scalar(UInt8(scalar.value) | 0x20) : scalar)
      } else if scalar == "\u{3A3}" {
        result.append(isFinalSigma(at: index) ? "\u{3C2}" : "\u{3C3}")
      } else {
        result.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
      }
    }
    return result
  }

  /// Unicode's Final_Sigma condition: a cased letter before, none after, case-ignorable characters
  /// aside.
  private func isFinalSigma(at index: Int) -> Bool {
    let before = self[..<index].last { !$0.properties.isCaseIgnorable }
    let after = self[(index + 1)...].first { !$0.properties.isCaseIgnorable }
    return before?.properties.isCased == true && after?.properties.isCased != true
  }

  /// With other text for each match, found from left to right; the replacement is not searched.
  /// - Parameter match: where a match that begins at a place ends, beyond that place; nil if none
  ///   begins there.
  func replacing(
    with replacement: Scalars = [], _ match: (TextView, Int) -> Int?
  ) -> Scalars {
    rewriting { text, place in match(text, place).map { ($0, replacement) } }
  }

  /// The same with a replacement for each match.
  func rewriting(_ match: (TextView, Int) -> (end: Int, replacement: Scalars)?) -> Scalars {
    let text = TextView(self)
    var result: Scalars = []
    result.reserveCapacity(count)
    var place = 0
    while place < count {
      if let (end, replacement) = match(text, place) {
        result.append(contentsOf: replacement)
        place = Swift.max(end, place + 1)
      } else {
        result.append(self[place])
        place += 1
      }
    }
    return result
  }
}

extension ArraySlice<Unicode.Scalar> {
  func lowercased() -> Scalars { Array(self).lowercased() }
}

/// A text that is looked at: any place may be asked for, also one outside.
struct TextView {
  let scalars: Scalars
  var count: Int { scalars.count }

  init(_ scalars: Scalars) { self.scalars = scalars }

  /// The character at a place; NUL outside of the text.
  subscript(place: Int) -> Unicode.Scalar {
    scalars.indices.contains(place) ? scalars[place] : "\0"
  }

  func has(_ place: Int, _ test: (Unicode.Scalar) -> Bool) -> Bool {
    scalars.indices.contains(place) && test(scalars[place])
  }

  /// `\b`: whether a word begins or ends here.
  func isBoundary(_ place: Int) -> Bool {
    has(place - 1, \.isPythonWord) != has(place, \.isPythonWord)
  }

  /// The end of the longest run of such characters.
  func run(_ place: Int, _ test: (Unicode.Scalar) -> Bool) -> Int {
    var end = place
    while has(end, test) { end += 1 }
    return end
  }

  /// The end of a text that stands here.
  func literal(_ text: String, at place: Int) -> Int? {
    var end = place
    for scalar in text.unicodeScalars {
      guard has(end, { $0 == scalar }) else { return nil }
      end += 1
    }
    return end
  }

  /// The end of the first of these texts that stands here.
  func literal(of texts: [String], at place: Int) -> Int? {
    for text in texts {
      if let end = literal(text, at: place) { return end }
    }
    return nil
  }
}
