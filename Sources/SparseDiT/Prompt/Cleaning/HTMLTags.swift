/// Finds where the tags of HTML end, as Python's parser does.
struct HTMLTags {
  struct StartTag {
    /// Nil where the parser gives up: then this is text.
    let name: String?
    let end: Int
    let isSelfClosing: Bool
  }

  private let text: TextView
  private let lastClose: Int
  private let lastQuotes: [Unicode.Scalar: Int]
  /// Where the attributes end that begin at a place: tags that are not closed lead to the same places
  /// again and again.
  private var attributesEnds: [Int: Int] = [:]

  init(_ text: TextView) {
    self.text = text
    func last(_ scalar: Unicode.Scalar) -> Int { text.scalars.lastIndex(of: scalar) ?? -1 }
    lastClose = last(">")
    lastQuotes = ["'": last("'"), "\"": last("\"")]
  }

  /// The next `>`.
  func nextClose(_ place: Int) -> Int? {
    place <= lastClose ? text.run(place) { $0 != ">" } : nil
  }

  /// A tag's name and where what follows it ends: white space and slashes, but for one before a `>`.
  func name(_ place: Int) -> (text: String, end: Int)? {
    guard text.has(place, \.isASCIILetter) else { return nil }
    let end = nameEnd(place)
    return (text.scalars[place..<end].lowercased().string, trailingEnd(end))
  }

  /// `</name>` without anything else.
  func plainEndTag(_ place: Int) -> (text: String, end: Int)? {
    let start = text.run(place + 2, \.isPythonSpace)
    guard text.has(start, \.isASCIILetter) else { return nil }
    let end = text.run(start) { scalar in
      scalar.isASCIIAlphanumeric || scalar == "-" || scalar == "." || scalar == ":" || scalar == "_"
    }
    let close = text.run(end, \.isPythonSpace)
    guard text.has(close, { $0 == ">" }) else { return nil }
    return (text.scalars[start..<end].lowercased().string, close + 1)
  }

  /// The tag that begins with this `<` and a letter; nil when it is not finished.
  mutating func startTag(_ place: Int) -> StartTag? {
    let nameEnd = nameEnd(place + 1)
    let start = text.run(nameEnd) { $0.isPythonSpace || $0 == "/" }
    let attributesEnd = attributesEnd(start)
    let end = text.run(attributesEnd, \.isPythonSpace)
    guard end < text.count else { return nil }
    let name = text.scalars[(place + 1)..<nameEnd].lowercased().string
    let next = text[end]
    if next == ">" {
      // Without attributes, the slash of `/>` is already passed.
      let isSelfClosing = attributesEnd == start && start > nameEnd && text[start - 1] == "/"
      return StartTag(name: name, end: end + 1, isSelfClosing: isSelfClosing)
    }
    if next == "/" {
      guard text.has(end + 1, { $0 == ">" }) else { return nil }
      return StartTag(name: name, end: end + 2, isSelfClosing: true)
    }
    if next == "=" || next.isASCIILetter { return nil }
    return StartTag(name: nil, end: end, isSelfClosing: false)
  }

  // MARK: Parts of a tag

  private func nameEnd(_ place: Int) -> Int {
    text.run(place) { scalar in
      switch scalar {
      case "\t", "\n", "\r", "\u{C}", " ", "/", ">", "\0": false
      default: true
      }
    }
  }

  private func trailingEnd(_ place: Int) -> Int {
    var end = place
    while text.has(end, \.isPythonSpace)
      || text.has(end, { $0 == "/" }) && !text.has(end + 1, { $0 == ">" })
    {
      end += 1
    }
    return end
  }

  private mutating func attributesEnd(_ start: Int) -> Int {
    var visited: [Int] = []
    var place = start
    while true {
      if let known = attributesEnds[place] {
        place = known
        break
      }
      visited.append(place)
      guard let next = attributeEnd(place) else { break }
      place = next
    }
    for step in visited { attributesEnds[step] = place }
    return place
  }

  /// One attribute with its value and what follows; nil when none begins here.
  private func attributeEnd(_ place: Int) -> Int? {
    let follows = text.has(place - 1) { $0.isPythonSpace || $0 == "/" || $0 == "'" || $0 == "\"" }
    guard follows, text.has(place, { !$0.isPythonSpace && $0 != "/" && $0 != ">" }) else {
      return nil
    }
    let nameEnd = text.run(place + 1) {
      !$0.isPythonSpace && $0 != "/" && $0 != "=" && $0 != ">"
    }
    return trailingEnd(valueEnd(nameEnd) ?? nameEnd)
  }

  /// The value behind a name; nil when there is none, or one in quotes that do not end.
  private func valueEnd(_ place: Int) -> Int? {
    let sign = text.run(place, \.isPythonSpace)
    let signEnd = text.run(sign) { $0 == "=" }
    guard signEnd > sign else { return nil }
    let value = text.run(signEnd, \.isPythonSpace)
    let end: Int
    if let last = lastQuotes[text[value]] {
      let quote = text[value]
      if last > value {
        end = text.run(value + 1) { $0 != quote } + 1
      } else if value > signEnd {
        // The value is the space before the quote, which begins the next name.
        end = value
      } else if signEnd > sign + 1 {
        // The last `=` belongs to the value.
        end = text.run(signEnd - 1) { !$0.isPythonSpace && $0 != ">" }
      } else {
        return nil
      }
    } else {
      end = text.run(value) { !$0.isPythonSpace && $0 != ">" }
    }
    return text.run(end, \.isPythonSpace)
  }
}
