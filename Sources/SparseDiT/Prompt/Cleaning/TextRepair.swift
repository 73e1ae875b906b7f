/// Repairs what often goes wrong with a text before it arrives, as ftfy's `fix_text` does by default:
/// mojibake, references of HTML, ligatures, full-width letters, curly quotes, line ends, terminal
/// escapes, control characters, combining characters by themselves.
///
/// ftfy's repair of surrogates has no part in this: a text of Swift has none.
enum TextRepair {
  /// Each line by itself. From the first line with a `<` on, references of HTML are left alone.
  static func repaired(_ text: Scalars) -> Scalars {
    var result: Scalars = []
    result.reserveCapacity(text.count)
    var decodesReferences = true
    var start = 0
    while start < text.count {
      let end = text[start...].firstIndex(of: "\n").map { $0 + 1 } ?? text.count
      let line = Array(text[start..<end])
      if line.contains("<") { decodesReferences = false }
      result += repairedLine(line, decodesReferences: decodesReferences)
      start = end
    }
    return result
  }

  private static func repairedLine(_ line: Scalars, decodesReferences: Bool) -> Scalars {
    var text = line
    for _ in 0..<EncodingRepair.maximumRounds {
      let before = text
      if decodesReferences { text = CharacterReferences.html5.unescapedStrictly(text) }
      if !text.isASCII {
        text = EncodingRepair.withoutC1(EncodingRepair.repaired(text))
        text = text.flatMap(plainForm)
      }
      text = withoutControls(withoutEscapes(withLineFeeds(text)))
      if !text.isASCII { text = CanonicalComposition.composed(text) }
      if text == before { break }
    }
    return text
  }

  // MARK: Characters

  /// Latin ligatures and digraphs in letters of their own, full-width and half-width forms in their
  /// usual width, straight quotes.
  private static func plainForm(_ scalar: Unicode.Scalar) -> Scalars {
    if scalar.isASCII { return [scalar] }
    return (ligatures[scalar] ?? [scalar]).flatMap { widths[$0] ?? [$0] }.map(straightQuote)
  }

  private static let ligatures: [Unicode.Scalar: Scalars] = {
    let pairs: KeyValuePairs<Unicode.Scalar, String> = [
      "\u{132}": "IJ", "\u{133}": "ij", "\u{149}": "\u{2BC}n", "\u{1F1}": "DZ", "\u{1F2}": "Dz",
      "\u{1F3}": "dz", "\u{1C4}": "D\u{17D}", "\u{1C5}": "D\u{17E}", "\u{1C6}": "d\u{17E}",
      "\u{1C7}": "LJ", "\u{1C8}": "Lj", "\u{1C9}": "lj", "\u{1CA}": "NJ", "\u{1CB}": "Nj",
      "\u{1CC}": "nj", "\u{FB00}": "ff", "\u{FB01}": "fi", "\u{FB02}": "fl", "\u{FB03}": "ffi",
      "\u{FB04}": "ffl", "\u{FB05}": "\u{17F}t", "\u{FB06}": "st",
    ]
    return Dictionary(uniqueKeysWithValues: pairs.map { ($0, Array($1.unicodeScalars)) })
  }()

  private static let widths: [Unicode.Scalar: Scalars] = {
    // The ideographic space is not among the forms of Unicode, but is one.
    var widths: [Unicode.Scalar: Scalars] = ["\u{3000}": [" "]]
    for word in widthTable.split(whereSeparator: \.isWhitespace) {
      let parts = word.split(separator: "=")
      if parts.count == 2, let form = Scalars(codes: parts[0]).first {
        widths[form] = Scalars(codes: parts[1])
      }
    }
    return widths
  }()

  private static func straightQuote(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
    switch scalar {
    case "\u{2BC}", "\u{2018}"..."\u{201B}": "'"
    case "\u{201C}"..."\u{201F}": "\""
    default: scalar
    }
  }

  private static func withLineFeeds(_ text: Scalars) -> Scalars {
    text.replacing(with: ["\n"]) { text, place in
      switch text[place] {
      case "\r": text.has(place + 1) { $0 == "\n" } ? place + 2 : place + 1
      case "\u{85}", "\u{2028}", "\u{2029}": place + 1
      default: nil
      }
    }
  }

  /// Without sequences that tell a terminal something, such as a colour.
  private static func withoutEscapes(_ text: Scalars) -> Scalars {
    guard text.contains("\u{1B}") else { return text }
    return text.replacing { text, place in
      guard let start = text.literal("\u{1B}[", at: place) else { return nil }
      let end = text.run(start) { $0.isPythonDigit || $0 == ";" }
      return text.has(end, \.isASCIILetter) ? end + 1 : nil
    }
  }

  /// Without characters that are not to be seen and have no use in a caption.
  private static func withoutControls(_ text: Scalars) -> Scalars {
    text.filter { scalar in
      switch scalar.value {
      case 0...8, 0xB, 0xE...0x1F, 0x7F, 0x206A...0x206F, 0xFEFF, 0xFFF9...0xFFFC: false
      default: true
      }
    }
  }
}
