/// The rules of diffusers' `_clean_caption`, each a substitution over the whole text, in the order in
/// which they apply. Where the original is a regular expression, the comment gives it; each rule reads
/// the text once.
enum CaptionRules {
  private static let fileTypes = [
    "png", "jpg", "jpeg", "bmp", "webp", "eps", "pdf", "apk", "mp4",
  ]

  // MARK: Before the repair of the text

  /// `@nickname`: `@[\w\d]+\b`.
  static func withoutNicknames(_ text: Scalars) -> Scalars {
    text.replacing { text, place in
      guard text[place] == "@" else { return nil }
      let end = text.run(place + 1, \.isPythonWord)
      return end > place + 1 ? end : nil
    }
  }

  /// Strokes, phonetic extensions, enclosed letters, compatibility characters, ideographs and
  /// hexagrams: 31C0–31EF, 31F0–9FFF.
  static func withoutIdeographs(_ text: Scalars) -> Scalars {
    text.filter { !(0x31C0...0x9FFF).contains($0.value) }
  }

  /// Runs of dashes as one `-`, and the same quotation marks everywhere.
  static func withPlainDashesAndQuotes(_ text: Scalars) -> Scalars {
    text.replacing(with: ["-"]) { text, place in
      let end = text.run(place, isDash)
      return end > place ? end : nil
    }.map { scalar in
      switch scalar {
      case "`", "\u{B4}", "\u{AB}", "\u{BB}", "\u{201C}", "\u{201D}", "\u{A8}": "\""
      case "\u{2018}", "\u{2019}": "'"
      default: scalar
      }
    }
  }

  private static func isDash(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x2D, 0x58A, 0x5BE, 0x1400, 0x1806, 0x2010...0x2015, 0x2E17, 0x2E1A, 0x2E3A, 0x2E3B,
      0x2E40, 0x301C, 0x3030, 0x30A0, 0xFE31, 0xFE32, 0xFE58, 0xFE63, 0xFF0D:
      true
    default: false
    }
  }

  /// What is left of references: `&quot;?`, then `&amp`.
  static func withoutReferences(_ text: Scalars) -> Scalars {
    text.replacing { text, place in
      text.literal("&quot", at: place).map { text.has($0) { $0 == ";" } ? $0 + 1 : $0 }
    }.replacing { text, place in text.literal("&amp", at: place) }
  }

  /// `\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}`, an address of four numbers.
  static func withoutNumericAddresses(_ text: Scalars) -> Scalars {
    text.replacing(with: [" "]) { text, place in
      var end = place
      for part in 0..<4 {
        let start = end
        while end - start < 3, text.has(end, \.isPythonDigit) { end += 1 }
        guard end > start else { return nil }
        if part == 3 { return end }
        guard text.has(end, { $0 == "." }) else { return nil }
        end += 1
      }
      return nil
    }
  }

  /// `\d:\d\d\s+$`, the number of an article; then `\n` written out.
  static func withoutArticleNumber(_ text: Scalars) -> Scalars {
    text.replacing { text, place in
      guard text.has(place, \.isPythonDigit), text.has(place + 1, { $0 == ":" }),
        text.has(place + 2, \.isPythonDigit), text.has(place + 3, \.isPythonDigit)
      else { return nil }
      let end = text.run(place + 4, \.isPythonSpace)
      return end > place + 4 && end == text.count ? end : nil
    }.replacing(with: [" "]) { text, place in text.literal("\\n", at: place) }
  }

  /// `#\d{1,3}\b`, `#\d{5,}\b` and `\b\d{6,}\b`.
  static func withoutLongNumbers(_ text: Scalars) -> Scalars {
    func withoutHash(_ text: Scalars, _ lengths: ClosedRange<Int>) -> Scalars {
      text.replacing { text, place in
        guard text[place] == "#" else { return nil }
        let end = text.run(place + 1, \.isPythonDigit)
        return lengths.contains(end - place - 1) && !text.has(end, \.isPythonWord) ? end : nil
      }
    }
    return withoutHash(withoutHash(text, 1...3), 5...(.max)).replacing { text, place in
      guard isWordStart(text, place) else { return nil }
      let end = text.run(place, \.isPythonDigit)
      return end - place >= 6 && !text.has(end, \.isPythonWord) ? end : nil
    }
  }

  /// `[\S]+\.(?:png|jpg|…)`: up to the last such ending before white space.
  static func withoutFileNames(_ text: Scalars) -> Scalars {
    let view = TextView(text)
    var result: Scalars = []
    var place = 0
    while place < text.count {
      let spaceEnd = view.run(place, \.isPythonSpace)
      result += text[place..<spaceEnd]
      let end = view.run(spaceEnd) { !$0.isPythonSpace }
      place = end
      var dot = end - 1
      while dot > spaceEnd {
        if text[dot] == ".", let nameEnd = view.literal(of: fileTypes, at: dot + 1) {
          result += text[nameEnd..<end]
          break
        }
        dot -= 1
      }
      if dot <= spaceEnd { result += text[spaceEnd..<end] }
    }
    return result
  }

  /// Runs of quotation marks as one, runs of full stops and of other punctuation as a space.
  static func withoutRuns(_ text: Scalars) -> Scalars {
    func replaced(
      _ text: Scalars, by replacement: Scalars, from length: Int,
      _ test: (Unicode.Scalar) -> Bool
    ) -> Scalars {
      text.replacing(with: replacement) { text, place in
        let end = text.run(place, test)
        return end - place >= length ? end : nil
      }
    }
    let quotes = replaced(text, by: ["\""], from: 2) { $0 == "\"" || $0 == "'" }
    let stops = replaced(quotes, by: [" "], from: 2) { $0 == "." }
    return replaced(stops, by: [" "], from: 1, isBadPunctuation)
  }

  private static func isBadPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar {
    case "#", "\u{AE}", "\u{2022}", "\u{A9}", "\u{2122}", "&", "@", "\u{B7}", "\u{BA}", "\u{BD}",
      "\u{BE}", "\u{BF}", "\u{A1}", "\u{A7}", "~", ")", "(", "]", "[", "}", "{", "|", "\\", "/",
      "*":
      true
    default: false
    }
  }

  /// `\s+\.\s+`; then, in a text with more than three of `-` and `_`, these as spaces.
  static func withoutLooseStopsAndJoints(_ text: Scalars) -> Scalars {
    let text = text.replacing(with: [" "]) { text, place in
      // Further on in white space nothing is found that is not found at its beginning.
      guard place == 0 || !text.has(place - 1, \.isPythonSpace) else { return nil }
      let stop = text.run(place, \.isPythonSpace)
      guard stop > place, text.has(stop, { $0 == "." }) else { return nil }
      let end = text.run(stop + 1, \.isPythonSpace)
      return end > stop + 1 ? end : nil
    }
    func isJoint(_ scalar: Unicode.Scalar) -> Bool { scalar == "-" || scalar == "_" }
    return text.count(where: isJoint) > 3 ? text.map { isJoint($0) ? " " : $0 } : text
  }

  // MARK: Behind it

  /// Codes of letters and digits: `\b[a-zA-Z]{1,3}\d{3,15}\b`, `\b[a-zA-Z]+\d+[a-zA-Z]+\b`,
  /// `\b\d+[a-zA-Z]+\d+\b`.
  static func withoutCodes(_ text: Scalars) -> Scalars {
    text.replacing { text, place in
      guard isWordStart(text, place) else { return nil }
      let digits = text.run(place, \.isASCIILetter)
      let end = text.run(digits, \.isPythonDigit)
      return (1...3).contains(digits - place) && (3...15).contains(end - digits)
        && !text.has(end, \.isPythonWord) ? end : nil
    }.replacing { text, place in
      mixedWord(text, place, startsWithDigits: false)
    }.replacing { text, place in
      mixedWord(text, place, startsWithDigits: true)
    }
  }

  /// A whole word of three runs, digits between letters or letters between digits.
  private static func mixedWord(
    _ text: TextView, _ place: Int, startsWithDigits: Bool
  ) -> Int? {
    guard isWordStart(text, place), let end = runs(text, place, 3, startsWithDigits) else {
      return nil
    }
    return text.has(end, \.isPythonWord) ? nil : end
  }

  /// The end of so many runs of letters and digits in turn.
  private static func runs(
    _ text: TextView, _ place: Int, _ count: Int, _ startsWithDigits: Bool
  ) -> Int? {
    var end = place
    var isDigit = startsWithDigits
    for _ in 0..<count {
      let start = end
      end = text.run(start) { isDigit ? $0.isPythonDigit : $0.isASCIILetter }
      guard end > start else { return nil }
      isDigit.toggle()
    }
    return end
  }

  private static func isWordStart(_ text: TextView, _ place: Int) -> Bool {
    !text.has(place - 1, \.isPythonWord)
  }

  /// The words of shops: `(worldwide\s+)?(free\s+)?shipping`, `(free\s)?download(\sfree)?`,
  /// `\bclick\b\s(?:for|on)\s\w+`.
  static func withoutShopWords(_ text: Scalars) -> Scalars {
    text.replacing { text, place in
      var end = place
      for word in ["worldwide", "free"] {
        guard let wordEnd = text.literal(word, at: end) else { continue }
        let next = text.run(wordEnd, \.isPythonSpace)
        if next > wordEnd { end = next }
      }
      return text.literal("shipping", at: end)
    }.replacing { text, place in
      let start = text.literal("free", at: place).flatMap { end in
        text.has(end, \.isPythonSpace) ? end + 1 : nil
      }
      guard let end = text.literal("download", at: start ?? place) else { return nil }
      guard text.has(end, \.isPythonSpace) else { return end }
      return text.literal("free", at: end + 1) ?? end
    }.replacing { text, place in
      guard isWordStart(text, place), let end = text.literal("click", at: place),
        text.has(end, \.isPythonSpace),
        let next = text.literal(of: ["for", "on"], at: end + 1), text.has(next, \.isPythonSpace)
      else { return nil }
      let last = text.run(next + 1, \.isPythonWord)
      return last > next + 1 ? last : nil
    }
  }

  /// Types of files at the beginning of a word, with ` image` or ` images` behind them, and
  /// `\bpage\s+\d+\b`.
  static func withoutFileTypesAndPages(_ text: Scalars) -> Scalars {
    text.replacing { text, place in
      guard isWordStart(text, place), let end = text.literal(of: fileTypes, at: place) else {
        return nil
      }
      guard text.has(end, \.isPythonSpace), let image = text.literal("image", at: end + 1) else {
        return end
      }
      return text.has(image) { $0 == "s" } ? image + 1 : image
    }.replacing { text, place in
      guard isWordStart(text, place), let start = text.literal("page", at: place) else {
        return nil
      }
      let digits = text.run(start, \.isPythonSpace)
      let end = text.run(digits, \.isPythonDigit)
      return digits > start && end > digits && !text.has(end, \.isPythonWord) ? end : nil
    }
  }

  /// `\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b` as a space.
  static func withoutMixedWords(_ text: Scalars) -> Scalars {
    text.replacing(with: [" "]) { text, place in
      guard isWordStart(text, place) else { return nil }
      let letters = text.run(place, \.isPythonDigit)
      guard var end = runs(text, letters, 4, false) else { return nil }
      end = text.run(end) { $0.isASCIILetter || $0.isPythonDigit }
      return text.has(end, \.isPythonWord) ? nil : end
    }
  }

  /// Sizes, `\b\d+\.?\d*[xх×]\d+\.?\d*\b`; the second letter is Cyrillic.
  static func withoutSizes(_ text: Scalars) -> Scalars {
    text.replacing { text, place in
      guard isWordStart(text, place) else { return nil }
      let whole = text.run(place, \.isPythonDigit)
      guard whole > place else { return nil }
      let sign =
        text.has(whole) { $0 == "." } ? text.run(whole + 1, \.isPythonDigit) : whole
      guard text.has(sign, { $0 == "x" || $0 == "\u{445}" || $0 == "\u{D7}" }) else { return nil }
      let end = text.run(sign + 1, \.isPythonDigit)
      guard end > sign + 1 else { return nil }
      guard text.has(end, { $0 == "." }) else { return text.isBoundary(end) ? end : nil }
      // Digits behind the stop are all taken or none: inside of them no word ends.
      let fraction = text.run(end + 1, \.isPythonDigit)
      if text.isBoundary(fraction) { return fraction }
      return text.isBoundary(end + 1) ? end + 1 : end
    }
  }

  /// White space around and behind punctuation: `\b\s+\:\s+` as `: `, a space behind `(\D[,\./])\b`,
  /// runs of white space as one space.
  static func withPlainSpaces(_ text: Scalars) -> Scalars {
    let colons = text.replacing(with: [":", " "]) { text, place in
      guard text.has(place - 1, \.isPythonWord) else { return nil }
      let colon = text.run(place, \.isPythonSpace)
      guard colon > place, text.has(colon, { $0 == ":" }) else { return nil }
      let end = text.run(colon + 1, \.isPythonSpace)
      return end > colon + 1 ? end : nil
    }
    let spaced = colons.rewriting { text, place in
      guard text.has(place, { !$0.isPythonDigit }),
        text.has(place + 1, { $0 == "," || $0 == "." || $0 == "/" }),
        text.has(place + 2, \.isPythonWord)
      else { return nil }
      return (place + 2, [text[place], text[place + 1], " "])
    }
    return spaced.replacing(with: [" "]) { text, place in
      let end = text.run(place, \.isPythonSpace)
      return end > place ? end : nil
    }
  }

  /// Quotation marks around the whole, one mark at each end, and a text that is one word behind a full
  /// stop: `^["']([\w\W]+)["']$`, `^['_,\-:;]`, `['_,\-:+]$`, `^\.\S+$`.
  static func withoutOuterMarks(_ text: Scalars) -> Scalars {
    func isQuote(_ scalar: Unicode.Scalar?) -> Bool { scalar == "\"" || scalar == "'" }
    var text = text[...]
    if text.count > 2, isQuote(text.first), isQuote(text.last) {
      text = text.dropFirst().dropLast()
    }
    if let first = text.first, "'_,-:;".unicodeScalars.contains(first) { text = text.dropFirst() }
    if let last = text.last, "'_,-:+".unicodeScalars.contains(last) { text = text.dropLast() }
    if text.count > 1, text.first == ".", !text.contains(where: \.isPythonSpace) { return [] }
    return Array(text)
  }
}
