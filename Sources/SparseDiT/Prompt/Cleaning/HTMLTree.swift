/// As much of Beautiful Soup's tree as its text depends on.
struct HTMLTree {
  private var result: Scalars = []
  /// What belongs to one string of the tree. A string of no characters is a space too, hence the
  /// optional.
  private var current: Scalars?
  private var open: [String] = []
  private var openCounts: [String: Int] = [:]
  /// Empty elements that were closed where they began; an end tag that comes later means nothing.
  private var closed: [String: Int] = [:]
  private var preserving = 0
  private var hiding = 0

  private static let empty: Set<String> = [
    "area", "base", "basefont", "bgsound", "br", "col", "command", "embed", "frame", "hr", "image",
    "img", "input", "isindex", "keygen", "link", "menuitem", "meta", "nextid", "param", "source",
    "spacer", "track", "wbr",
  ]
  private static let preserves: Set<String> = ["pre", "textarea"]
  private static let hides: Set<String> = ["rp", "rt", "script", "style", "template"]

  mutating func append(_ text: some Sequence<Unicode.Scalar>) {
    if current == nil { current = [] }
    current?.append(contentsOf: text)
  }

  /// A string that is not a part of the text: it ends the one before.
  mutating func skip() { endString() }

  /// A string that is text wherever it is.
  mutating func appendSection(_ text: some Sequence<Unicode.Scalar>) {
    endString()
    append(text)
    endString(isSection: true)
  }

  mutating func open(_ name: String, isSelfClosing: Bool) {
    endString()
    open.append(name)
    openCounts[name, default: 0] += 1
    if Self.preserves.contains(name) { preserving += 1 }
    if Self.hides.contains(name) { hiding += 1 }
    if isSelfClosing {
      closeNow(name)
    } else if Self.empty.contains(name) {
      closeNow(name)
      closed[name, default: 0] += 1
    }
  }

  mutating func close(_ name: String) {
    if let count = closed[name], count > 0 {
      closed[name] = count - 1
    } else {
      closeNow(name)
    }
  }

  /// Closes the innermost element of this name and those inside it.
  private mutating func closeNow(_ name: String) {
    endString()
    guard openCounts[name, default: 0] > 0 else { return }
    while let last = open.popLast() {
      openCounts[last, default: 0] -= 1
      if Self.preserves.contains(last) { preserving -= 1 }
      if Self.hides.contains(last) { hiding -= 1 }
      if last == name { return }
    }
  }

  private mutating func endString(isSection: Bool = false) {
    guard let string = current else { return }
    current = nil
    guard hiding == 0 || isSection else { return }
    let isSpace = string.allSatisfy { scalar in
      switch scalar {
      case " ", "\n", "\t", "\u{C}", "\r": true
      default: false
      }
    }
    if preserving == 0, isSpace {
      result.append(string.contains("\n") ? "\n" : " ")
    } else {
      result += string
    }
  }

  mutating func finished() -> Scalars {
    endString()
    return result
  }
}
