/// The classes that ftfy sorts the characters of mojibake into.
struct MojibakeClass: OptionSet, Sendable {
  let rawValue: UInt32

  static let names = [
    "common", "c1", "bad", "law", "currency", "startPunctuation", "endPunctuation", "numeric",
    "kaomoji", "upperAccented", "lowerAccented", "upperCommon", "lowerCommon", "box",
    "utf8FirstOf2", "utf8FirstOf3", "utf8FirstOf4", "utf8Continuation", "utf8ContinuationStrict",
  ]
  static let common = Self(rawValue: 1 << 0)
  static let c1 = Self(rawValue: 1 << 1)
  static let bad = Self(rawValue: 1 << 2)
  static let law = Self(rawValue: 1 << 3)
  static let currency = Self(rawValue: 1 << 4)
  static let start = Self(rawValue: 1 << 5)
  static let end = Self(rawValue: 1 << 6)
  static let numeric = Self(rawValue: 1 << 7)
  static let kaomoji = Self(rawValue: 1 << 8)
  static let upper = Self(rawValue: 1 << 9)
  static let lower = Self(rawValue: 1 << 10)
  static let upperCommon = Self(rawValue: 1 << 11)
  static let lowerCommon = Self(rawValue: 1 << 12)
  static let box = Self(rawValue: 1 << 13)
  /// What the first byte of a sequence of two, three or four looks like, and the others; the strict
  /// ones do not stand for themselves beside mojibake.
  static let firstOf2 = Self(rawValue: 1 << 14)
  static let firstOf3 = Self(rawValue: 1 << 15)
  static let firstOf4 = Self(rawValue: 1 << 16)
  static let continuation = Self(rawValue: 1 << 17)
  static let strictContinuation = Self(rawValue: 1 << 18)

  private static let table: [UInt32: MojibakeClass] = {
    var table: [UInt32: MojibakeClass] = [:]
    var current = MojibakeClass()
    for word in mojibakeTable.split(whereSeparator: \.isWhitespace) {
      if word.hasSuffix(":") {
        current = MojibakeClass(
          rawValue: names.firstIndex(of: String(word.dropLast())).map { 1 << UInt32($0) } ?? 0)
        continue
      }
      let ends = word.split(separator: "-").compactMap { UInt32($0, radix: 16) }
      guard let first = ends.first, let last = ends.last, first <= last else { continue }
      for code in first...last { table[code, default: []].insert(current) }
    }
    return table
  }()

  static func of(_ scalar: Unicode.Scalar) -> MojibakeClass {
    // No character of ASCII is in a class, but the space that may stand for a byte A0.
    if scalar.isASCII { return scalar == " " ? .continuation : [] }
    return table[scalar.value] ?? []
  }
}

/// Says whether a text looks like mojibake: UTF-8 that was read in a code page.
///
/// ftfy's heuristic: certain classes of characters next to each other hardly occur in a text that
/// someone meant to write. One such place is enough.
struct Mojibake {
  private let text: TextView
  private let classes: [MojibakeClass]

  static func isLikely(_ text: Scalars) -> Bool {
    let mojibake = Mojibake(text)
    return text.indices.contains(where: mojibake.begins)
  }

  private init(_ text: Scalars) {
    self.text = TextView(text)
    classes = text.map(MojibakeClass.of)
  }

  private func begins(_ place: Int) -> Bool {
    has(place, .c1) || pairBegins(place) || tripleBegins(place) || letterPairBegins(place)
      || doubleEncodedBegins(place) || otherAlphabetBegins(place) || lostSpaceBegins(place)
  }

  private func has(_ place: Int, _ some: MojibakeClass) -> Bool {
    classes.indices.contains(place) && !classes[place].isDisjoint(with: some)
  }

  private func has(_ place: Int, in characters: String) -> Bool {
    text.has(place, characters.unicodeScalars.contains)
  }

  private static let accented: MojibakeClass = [.lower, .upper]
  /// Fine alone, but not beside a bad one.
  private static let suspect: MojibakeClass = [
    .lower, .upper, .box, .start, .end, .currency, .numeric, .law,
  ]

  /// Two classes that do not follow one another.
  private func pairBegins(_ place: Int) -> Bool {
    func pair(_ first: MojibakeClass, _ second: MojibakeClass) -> Bool {
      has(place, first) && has(place + 1, second)
    }
    return pair(Self.suspect.union(.bad), .bad) || pair(.bad, Self.suspect)
      || pair([.lower, .lowerCommon, .box, .end, .currency, .numeric], .upper)
      || pair([.box, .end, .currency, .numeric], .lower)
      || pair([.lower, .box, .end], .currency)
      || pair([.upper, .box], [.numeric, .law])
      || pair([.currency, .numeric, .box], .start)
      || pair(.box, [.kaomoji, .end])
      || pair(
        Self.accented.union([.currency, .numeric, .start, .end, .law]), .box)
  }

  /// Three in a row, or two beside a letter or a space.
  private func tripleBegins(_ place: Int) -> Bool {
    func triple(_ first: Bool, _ second: MojibakeClass, _ third: MojibakeClass) -> Bool {
      first && has(place + 1, second) && has(place + 2, third)
    }
    return triple(text.has(place, \.isASCIILetter), [.lowerCommon, .upperCommon], .bad)
      || triple(text.has(place, \.isPythonSpace), .upper, .currency)
      || triple(text.has(place, \.isASCIILower), .upper, [.start, .currency])
      || triple(has(place, Self.accented.union([.box, .currency, .end])), .start, .numeric)
      || triple(
        has(place, Self.accented.union([.currency, .numeric, .box, .law])), .end, .start)
      || has(place, Self.accented) && has(place + 1, [.start, .end])
        && text.has(place + 2, \.isPythonWord)
  }

  /// Two certain characters: Windows-1252 and Mac Roman.
  private func letterPairBegins(_ place: Int) -> Bool {
    guard !text[place].isASCII else { return false }
    let next = place + 1
    switch text[place] {
    case "\u{152}", "\u{153}":
      return text.has(next) { !$0.isASCIILetter }
    case "\u{C2}", "\u{C3}", "\u{CE}", "\u{D0}":
      // The no-break space and the inverted exclamation mark are à and á.
      if has(next, [.start, .end]) || has(next, in: Self.afterCapital) { return true }
    case "\u{D7}": return has(next, in: "\u{B2}\u{B3}")
    case "\u{E0}": return has(next, in: "\u{B2}\u{B5}\u{B9}\u{BC}\u{BD}\u{BE}")
    case "\u{221A}":
      return has(
        next,
        in: "\u{B1}\u{2202}\u{2020}\u{2260}\u{AE}\u{2122}\u{B4}\u{2264}\u{2265}\u{A5}\u{B5}\u{F8}")
    case "\u{2248}": return has(next, in: "\u{B0}\u{A2}")
    case "\u{201A}":
      return has(next, in: "\u{C4}") && has(place + 2, in: Self.afterMacRomanQuote)
        || has(next, in: "\u{E2}\u{F3}") && has(place + 2, in: "\u{E0}\u{E4}\u{B0}\u{EA}")
    default: break
    }
    // A degree sign behind a capital.
    return has(place, .upper) && has(next, in: "\u{B0}")
  }

  private static let afterMacRomanQuote =
    "\u{EC}\u{EE}\u{EF}\u{F2}\u{F4}\u{FA}\u{F9}\u{FB}\u{2020}\u{B0}\u{A2}\u{3C0}"
  private static let afterCapital =
    "\u{20AC}\u{153}\u{160}\u{161}\u{A2}\u{A3}\u{178}\u{17E}\u{A0}\u{AD}\u{AE}\u{A9}\u{B0}\u{B7}"
    + "\u{BB}\u{2013}\u{2014}\u{B4}"

  /// Two sequences of two bytes: Arabic in Windows-1252, Cyrillic and Greek in their own code pages.
  private func doubleEncodedBegins(_ place: Int) -> Bool {
    guard !text[place].isASCII else { return false }
    let unlikely: MojibakeClass = [.c1, .bad, .start, .end, .currency]
    switch text[place] {
    case "\u{D8}", "\u{D9}":
      func isArabic(_ place: Int) -> Bool {
        has(place, in: "\u{D8}\u{D9}")
          && (has(place + 1, [.common, .currency, .bad, .numeric, .start])
            || has(place + 1, in: "\u{178}\u{160}\u{AE}\u{B0}\u{B5}\u{BB}"))
      }
      return isArabic(place) && isArabic(place + 2)
    case "\u{412}", "\u{413}", "\u{420}", "\u{421}":
      return (has(place + 1, unlikely) || has(place + 1, in: "\u{B0}\u{B5}"))
        && has(place + 2, in: "\u{412}\u{413}\u{420}\u{421}")
        || text.literal("\u{413}\u{45E}\u{412}\u{402}\u{412}", at: place) != nil
          && text.has(place + 5) { $0 != "\n" }
          && text.has(place + 6) { $0.isASCIILetter || $0 == " " }
    case "\u{392}", "\u{393}", "\u{39E}", "\u{39F}":
      return (has(place + 1, unlikely) || has(place + 1, in: "\u{B0}"))
        && has(place + 2, in: "\u{392}\u{393}\u{39E}\u{39F}")
    default: return false
    }
  }

  /// Punctuation beyond U+2000 in Windows-1251, 1253 and 1257.
  private func otherAlphabetBegins(_ place: Int) -> Bool {
    switch text[place] {
    case "\u{432}": has(place + 1, in: "\u{402}")
    case "\u{101}": has(place + 1, in: "\u{20AC}")
    case "\u{3B2}":
      has(place + 1, in: "\u{20AC}")
        && has(place + 2, in: "\u{2122}\u{A0}\u{386}\u{AD}\u{AE}\u{B0}")
    default: false
    }
  }

  /// Â or Ã before a space that was a byte A0.
  private func lostSpaceBegins(_ place: Int) -> Bool {
    func isSpaced(_ place: Int) -> Bool {
      has(place, in: "\u{C3}\u{C2}") && text.has(place + 1) { $0 == " " }
    }
    if place == 0, isSpaced(0) { return true }
    if text.has(place, \.isASCIILower) {
      if isSpaced(place + 1) { return true }
      if text.has(place + 1, \.isPythonSpace), isSpaced(place + 2) { return true }
    }
    return (text.has(place, \.isASCIILower) || has(place, in: ".,?!") || has(place, .end))
      && has(place + 1, in: "\u{C2}")
      && (has(place + 2, [.start, .end]) || text.has(place + 2) { $0 == " " })
  }
}
