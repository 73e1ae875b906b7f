/// Pieces in byte order: finds all pieces that a text starts with by narrowing a range byte by byte.
struct SortedPieces: Sendable {
  private let bytes: [UInt8]
  /// Where each piece begins in `bytes`; one more entry than pieces.
  private let starts: [Int]
  private let ids: [Int32]

  /// The id of a piece is its place; of equal pieces the last one counts.
  /// - Parameter isIncluded: which ids take part.
  init(_ pieces: [String], where isIncluded: (Int) -> Bool = { _ in true }) {
    let texts = pieces.map { Array($0.utf8) }
    let order = texts.indices.filter(isIncluded).sorted { left, right in
      let (a, b) = (texts[left], texts[right])
      return a == b ? left < right : a.lexicographicallyPrecedes(b)
    }
    var bytes: [UInt8] = []
    var starts: [Int] = []
    var ids: [Int32] = []
    for (place, id) in order.enumerated() {
      if place + 1 < order.count, texts[order[place + 1]] == texts[id] { continue }
      starts.append(bytes.count)
      ids.append(Int32(id))
      bytes.append(contentsOf: texts[id])
    }
    self.bytes = bytes
    self.starts = starts + [bytes.count]
    self.ids = ids
  }

  /// Calls `body` with id and byte count of each piece that `text` starts with, shortest first.
  func forEachPrefix(of text: ArraySlice<UInt8>, _ body: (_ id: Int32, _ length: Int) -> Void) {
    var range = 0..<ids.count
    var depth = 0
    for byte in text {
      range = narrow(range, depth, to: byte)
      if range.isEmpty { return }
      depth += 1
      let first = range.lowerBound
      if starts[first + 1] - starts[first] == depth { body(ids[first], depth) }
    }
  }

  /// Id and byte count of the longest piece that `text` starts with.
  func longestPrefix(of text: ArraySlice<UInt8>) -> (id: Int32, length: Int)? {
    var longest: (id: Int32, length: Int)?
    forEachPrefix(of: text) { longest = ($0, $1) }
    return longest
  }

  /// The id of the piece that is this text.
  func id(of text: ArraySlice<UInt8>) -> Int32? {
    var found: Int32?
    forEachPrefix(of: text) { id, length in
      if length == text.count { found = id }
    }
    return found
  }

  /// The pieces of a range, equal in their first `depth` bytes, whose next byte is `byte`.
  private func narrow(_ range: Range<Int>, _ depth: Int, to byte: UInt8) -> Range<Int> {
    let lower = firstPlace(in: range) { nextByte($0, depth) >= Int(byte) }
    let upper = firstPlace(in: lower..<range.upperBound) { nextByte($0, depth) > Int(byte) }
    return lower..<upper
  }

  /// The byte after the first `depth`; -1 where the piece ends, which sorts first.
  private func nextByte(_ place: Int, _ depth: Int) -> Int {
    let index = starts[place] + depth
    return index < starts[place + 1] ? Int(bytes[index]) : -1
  }

  /// Binary search for the first place where a condition, false then true over the range, holds.
  private func firstPlace(in range: Range<Int>, where holds: (Int) -> Bool) -> Int {
    var (low, high) = (range.lowerBound, range.upperBound)
    while low < high {
      let middle = (low + high) / 2
      if holds(middle) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
