/// Unicode's normalization form C (UAX #15): letters with their marks in one character where there is
/// one, marks in canonical order.
enum CanonicalComposition {
  static func composed(_ text: Scalars) -> Scalars {
    // No character below U+0300 decomposes to anything else than what it is composed from.
    guard text.contains(where: { $0.value >= 0x300 }) else { return text }
    return compose(ordered(text.flatMap { decomposed($0) }))
  }

  // MARK: Tables

  private static let decompositions = readTable().0
  private static let compositions = readTable().1

  private struct Pair: Hashable {
    let first, second: Unicode.Scalar
  }

  private static func readTable() -> ([Unicode.Scalar: Scalars], [Pair: Unicode.Scalar]) {
    var decompositions: [Unicode.Scalar: Scalars] = [:]
    var compositions: [Pair: Unicode.Scalar] = [:]
    for word in decompositionTable.split(whereSeparator: \.isWhitespace) {
      guard let mark = word.firstIndex(where: { $0 == "=" || $0 == ":" }),
        let whole = Scalars(codes: word[..<mark]).first
      else { continue }
      let parts = Scalars(codes: word[word.index(after: mark)...])
      decompositions[whole] = parts
      if word[mark] == "=", parts.count == 2 {
        compositions[Pair(first: parts[0], second: parts[1])] = whole
      }
    }
    return (decompositions, compositions)
  }

  // MARK: Hangul

  /// The Unicode Standard, section 3.12: syllables are numbered by their letters.
  private enum Hangul {
    static let (syllables, leading, vowels, trailing): (UInt32, UInt32, UInt32, UInt32) =
      (0xAC00, 0x1100, 0x1161, 0x11A7)
    static let (vowelCount, trailingCount): (UInt32, UInt32) = (21, 28)
    static let count = 19 * vowelCount * trailingCount

    static func letters(_ scalar: Unicode.Scalar) -> Scalars? {
      guard (syllables..<(syllables + count)).contains(scalar.value) else { return nil }
      let index = scalar.value - syllables
      let last = index % trailingCount
      let letters = [
        leading + index / (vowelCount * trailingCount),
        vowels + index % (vowelCount * trailingCount) / trailingCount,
      ]
      return (last == 0 ? letters : letters + [trailing + last]).compactMap(Unicode.Scalar.init)
    }

    static func syllable(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
      if (leading..<(leading + 19)).contains(first.value),
        (vowels..<(vowels + vowelCount)).contains(second.value)
      {
        let index = (first.value - leading) * vowelCount + second.value - vowels
        return Unicode.Scalar(syllables + index * trailingCount)
      }
      guard (syllables..<(syllables + count)).contains(first.value),
        (first.value - syllables) % trailingCount == 0,
        ((trailing + 1)..<(trailing + trailingCount)).contains(second.value)
      else { return nil }
      return Unicode.Scalar(first.value + second.value - trailing)
    }
  }

  // MARK: Decomposition and composition

  private static func decomposed(_ scalar: Unicode.Scalar) -> Scalars {
    if scalar.value < 0xC0 { return [scalar] }
    if let letters = Hangul.letters(scalar) { return letters }
    guard let parts = decompositions[scalar] else { return [scalar] }
    // The second part has no decomposition of its own, but two marks do (U+0344 and the like).
    return parts.flatMap { $0 == scalar ? [$0] : decomposed($0) }
  }

  private static func combiningClass(_ scalar: Unicode.Scalar) -> UInt8 {
    scalar.value < 0x300 ? 0 : scalar.properties.canonicalCombiningClass.rawValue
  }

  /// Marks that follow one another in the order of their classes.
  private static func ordered(_ text: Scalars) -> Scalars {
    var result: Scalars = []
    result.reserveCapacity(text.count)
    var marks: [(scalar: Unicode.Scalar, order: UInt8)] = []
    func flush() {
      // Swift's sort keeps the order of equal elements today, but does not promise it.
      let sorted = marks.enumerated().sorted {
        ($0.element.order, $0.offset) < ($1.element.order, $1.offset)
      }
      result += sorted.map(\.element.scalar)
      marks.removeAll(keepingCapacity: true)
    }
    for scalar in text {
      let order = combiningClass(scalar)
      if order == 0 {
        flush()
        result.append(scalar)
      } else {
        marks.append((scalar, order))
      }
    }
    flush()
    return result
  }

  private static func compose(_ text: Scalars) -> Scalars {
    var result: Scalars = []
    result.reserveCapacity(text.count)
    var starter: Int?
    // Class of the last mark that stayed between the starter and here.
    var last: UInt8 = 0
    for scalar in text {
      let order = combiningClass(scalar)
      if let starter, last < order || last == 0 && result.count == starter + 1,
        let whole = composition(result[starter], scalar)
      {
        result[starter] = whole
        continue
      }
      if order == 0 {
        starter = result.count
        last = 0
      } else {
        last = order
      }
      result.append(scalar)
    }
    return result
  }

  private static func composition(
    _ first: Unicode.Scalar, _ second: Unicode.Scalar
  ) -> Unicode.Scalar? {
    Hangul.syllable(first, second) ?? compositions[Pair(first: first, second: second)]
  }
}
