/// The text of HTML: what `BeautifulSoup(markup, features="html.parser").text` gives, with the parser
/// of Python 3.11.
///
/// Comments, declarations, processing instructions and the contents of `script`, `style`, `template`,
/// `rt` and `rp` are left out. White space alone between two tags becomes one space or line feed.
struct HTMLText {
  private let text: TextView
  private var tags: HTMLTags
  private var place = 0
  private var tree = HTMLTree()
  /// `script` or `style`, when inside: then only its end is looked for.
  private var verbatim: String?
  /// Searches that found nothing to the end find nothing from further on.
  private var failedSearches: Set<Search> = []

  private enum Search { case comment, section, officeSection }

  static func text(of markup: Scalars) -> Scalars {
    guard markup.contains(where: { $0 == "<" || $0 == "&" }) else {
      // Even then a text of white space alone becomes one character.
      var tree = HTMLTree()
      if !markup.isEmpty { tree.append(markup) }
      return tree.finished()
    }
    var parser = HTMLText(markup)
    // Python's parser first waits for what may follow an unfinished construct; then all is there.
    parser.parse(isComplete: false)
    parser.parse(isComplete: true)
    return parser.tree.finished()
  }

  private init(_ markup: Scalars) {
    text = TextView(markup)
    tags = HTMLTags(text)
  }

  // MARK: Between the tags

  private mutating func parse(isComplete: Bool) {
    while place < text.count {
      guard let next = nextMarkup() else { break }
      if place < next { tree.append(text.scalars[place..<next]) }
      place = next
      if place == text.count { return }
      let goesOn =
        text[place] == "<" ? markup(isComplete: isComplete) : reference(isComplete: isComplete)
      if !goesOn { break }
    }
    if isComplete, place < text.count, verbatim == nil {
      tree.append(text.scalars[place...])
      place = text.count
    }
  }

  /// Where the next `<` or `&` is, or the end of the text; in a script the end tag, or nil.
  private func nextMarkup() -> Int? {
    guard let verbatim else { return text.run(place) { $0 != "<" && $0 != "&" } }
    var next = place
    while next < text.count {
      if let end = text.literal("</", at: next) {
        let name = text.run(end, \.isPythonSpace)
        let letters = text.scalars[name...].prefix(verbatim.utf8.count)
        if letters.lowercased().elementsEqual(verbatim.unicodeScalars) {
          let close = text.run(name + verbatim.utf8.count, \.isPythonSpace)
          if text.has(close, { $0 == ">" }) { return next }
        }
      }
      next += 1
    }
    return nil
  }

  /// - Returns: false when the parser stops here.
  private mutating func reference(isComplete: Bool) -> Bool {
    if text.has(place + 1, { $0 == "#" }) { return numericReference() }
    if let (name, end) = referenceName() {
      tree.append(CharacterReferences.html5[name] ?? Array(text.scalars[place..<name.endIndex]))
      place = text.has(end, { $0 == ";" }) ? end + 1 : end
      return true
    }
    if text.has(place + 1, \.isASCIILetter) {
      // One letter at the very end loses its ampersand.
      if isComplete, place + 2 == text.count { place += 1 }
      return false
    }
    guard place + 1 < text.count else { return false }
    tree.append(["&"])
    place += 1
    return true
  }

  private mutating func numericReference() -> Bool {
    let isHex = text.has(place + 2) { $0 == "x" || $0 == "X" }
    let start = place + (isHex ? 3 : 2)
    let end = text.run(start) { isHex ? $0.isHexDigit : $0.isASCIIDigit }
    guard end > start, text.has(end, { !$0.isHexDigit }) else {
      if text.scalars[place...].contains(";") {
        tree.append(["&", "#"])
        place += 2
      }
      return false
    }
    let number = CharacterReferences.number(text.scalars[start..<end], radix: isHex ? 16 : 10)
    tree.append([Self.character(number)])
    place = text[end] == ";" ? end + 1 : end
    return true
  }

  private static func character(_ number: UInt32) -> Unicode.Scalar {
    switch number {
    case 0: "\u{FFFD}"
    case 0x80...0x9F: CodePage.windows1252.sloppyScalar(UInt8(number))
    default: Unicode.Scalar(number) ?? "\u{FFFD}"
    }
  }

  /// A name behind `&` and where the character behind it is, which is no letter or digit. At the end
  /// of the text there is none, and a `-` or `.` of the name is taken for it.
  private func referenceName() -> (name: ArraySlice<Unicode.Scalar>, end: Int)? {
    let start = place + 1
    guard text.has(start, \.isASCIILetter) else { return nil }
    var end = text.run(start) { $0.isASCIIAlphanumeric || $0 == "-" || $0 == "." }
    if end == text.count {
      guard let last = text.scalars[start...].lastIndex(where: { !$0.isASCIIAlphanumeric }) else {
        return nil
      }
      end = last
    }
    return (text.scalars[start..<end], end)
  }

  // MARK: Tags

  private mutating func markup(isComplete: Bool) -> Bool {
    let end: Int?
    if text.has(place + 1, \.isASCIILetter) {
      end = startTag()
    } else if text.literal("</", at: place) != nil {
      end = endTag()
    } else if text.literal("<!--", at: place) != nil {
      end = comment(from: place + 4)
    } else if text.literal("<?", at: place) != nil {
      end = bogusComment()
    } else if text.literal("<!", at: place) != nil {
      end = declaration()
    } else if place + 1 < text.count {
      tree.append(["<"])
      end = place + 1
    } else {
      return false
    }
    if let end {
      place = end
      return true
    }
    guard isComplete else { return false }
    // Unfinished: up to its `>`, or before the next `<`, it is text.
    let close = tags.nextClose(place + 1).map { $0 + 1 }
    let next = close ?? text.scalars[(place + 1)...].firstIndex(of: "<") ?? place + 1
    tree.append(text.scalars[place..<next])
    place = next
    return true
  }

  private mutating func startTag() -> Int? {
    guard let tag = tags.startTag(place) else { return nil }
    guard let name = tag.name else {
      tree.append(text.scalars[place..<tag.end])
      return tag.end
    }
    tree.open(name, isSelfClosing: tag.isSelfClosing)
    if !tag.isSelfClosing, name == "script" || name == "style" { verbatim = name }
    return tag.end
  }

  private mutating func endTag() -> Int? {
    guard let close = tags.nextClose(place + 1) else { return nil }
    if let name = tags.plainEndTag(place) {
      tree.close(name.text)
      verbatim = nil
      return name.end
    }
    guard let name = tags.name(place + 2) else {
      // `</>` is nothing at all, other things are a comment.
      return close == place + 2 ? close + 1 : bogusComment()
    }
    tree.close(name.text)
    return tags.nextClose(name.end).map { $0 + 1 }
  }

  private mutating func comment(from start: Int) -> Int? {
    guard let end = search(.comment, from: start) else { return nil }
    tree.skip()
    return end
  }

  /// Anything up to the next `>`.
  private mutating func bogusComment() -> Int? {
    guard let close = tags.nextClose(place + 2) else { return nil }
    tree.skip()
    return close + 1
  }

  private mutating func declaration() -> Int? {
    guard text.literal("<![", at: place) != nil else {
      let isDoctype = text.scalars[place...].prefix(9).lowercased()
        .elementsEqual("<!doctype".unicodeScalars)
      guard isDoctype else { return bogusComment() }
      guard let close = tags.nextClose(place + 9) else { return nil }
      tree.skip()
      return close + 1
    }
    return markedSection()
  }

  /// `<![CDATA[…]]>` and what old word processors write, `<![if …]>`. Where Python's parser refuses
  /// the text, it is a comment here.
  private mutating func markedSection() -> Int? {
    let start = place + 3
    if start == text.count { return nil }
    guard text.has(start, \.isASCIILetter) else { return bogusComment() }
    let nameEnd = text.run(start) { $0.isASCIIAlphanumeric || $0 == "-" || $0 == "_" || $0 == "." }
    if text.run(nameEnd, \.isPythonSpace) == text.count { return nil }
    let end: Int?
    switch text.scalars[start..<nameEnd].lowercased().string {
    case "temp", "cdata", "ignore", "include", "rcdata": end = search(.section, from: start)
    case "if", "else", "endif": end = search(.officeSection, from: start)
    default: return bogusComment()
    }
    guard let end else { return nil }
    let content = text.scalars[start..<end]
    let isText = content.prefix(6).lowercased().elementsEqual("cdata[".unicodeScalars)
    if isText, let close = content.lastIndex(of: "]"),
      let first = content[..<close].lastIndex(of: "]"), first >= start + 6
    {
      tree.appendSection(content[(start + 6)..<first])
    } else {
      tree.skip()
    }
    return end
  }

  /// The end of the next `-->`, `]]>` or `]>`, in which white space may stand before the last
  /// characters.
  private mutating func search(_ search: Search, from start: Int) -> Int? {
    guard !failedSearches.contains(search), start <= text.count else { return nil }
    for place in start..<text.count {
      var end = place
      switch search {
      case .comment:
        guard let dashes = text.literal("--", at: place) else { continue }
        end = dashes
      case .section:
        guard text[place] == "]" else { continue }
        end = text.run(place + 1, \.isPythonSpace)
        guard text.has(end, { $0 == "]" }) else { continue }
        end += 1
      case .officeSection:
        guard text[place] == "]" else { continue }
        end += 1
      }
      end = text.run(end, \.isPythonSpace)
      if text.has(end, { $0 == ">" }) { return end + 1 }
    }
    failedSearches.insert(search)
    return nil
  }
}
