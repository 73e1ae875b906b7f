/// A unigram language model over pieces: finds the most probable way to write a word with them.
struct UnigramModel: Sendable {
  private let pieces: SortedPieces
  /// Log probability of each piece.
  private let scores: [Double]
  /// The id of text that no piece covers.
  private let unknownID: Int32
  private let unknownScore: Double

  /// How much worse an unknown character is than the worst piece, in log probability.
  private static let unknownPenalty = 10.0

  init(pieces: [String], scores: [Float], unknownID: Int32) {
    self.pieces = SortedPieces(pieces)
    self.scores = scores.map(Double.init)
    self.unknownID = unknownID
    unknownScore = (self.scores.min() ?? 0) - Self.unknownPenalty
  }

  /// The best way found so far to write the text up to some byte: its last piece and its score.
  private struct Path {
    var id: Int32
    var start: Int
    var score: Double
  }

  /// The ids of a word's most probable segmentation; neighbouring unknown characters become one id.
  ///
  /// Scores are summed in f64 from left to right and the first of equal ones wins, as in Hugging
  /// Face's tokenizers; in f32, ties such as those of "......" would be broken by rounding.
  func encode(_ word: [UInt8]) -> [Int32] {
    var paths = [Path?](repeating: nil, count: word.count + 1)
    var start = 0
    while start < word.count {
      let scoreSoFar = paths[start]?.score ?? 0
      let width = scalarWidth(word[start])
      var coversOneScalar = false
      pieces.forEachPrefix(of: word[start...]) { id, length in
        let score = scores[Int(id)] + scoreSoFar
        Self.improve(&paths[start + length], Path(id: id, start: start, score: score))
        if length == width { coversOneScalar = true }
      }
      if !coversOneScalar {
        let score = unknownScore + scoreSoFar
        Self.improve(&paths[start + width], Path(id: unknownID, start: start, score: score))
      }
      start += width
    }
    return ids(word, paths)
  }

  private static func improve(_ path: inout Path?, _ candidate: Path) {
    guard let current = path, current.score >= candidate.score else {
      path = candidate
      return
    }
  }

  /// Follows the best path back from the end of the word.
  private func ids(_ word: [UInt8], _ paths: [Path?]) -> [Int32] {
    var ids: [Int32] = []
    var end = word.count
    while let path = paths[end] {
      var start = path.start
      if path.id == unknownID {
        while let previous = paths[start], previous.id == unknownID { start = previous.start }
        ids.append(pieces.id(of: word[start..<end]) ?? unknownID)
      } else {
        ids.append(path.id)
      }
      end = start
    }
    return ids.reversed()
  }

  /// Bytes of the UTF-8 sequence that starts with this byte.
  private func scalarWidth(_ lead: UInt8) -> Int {
    switch lead {
    case ..<0xC0: 1
    case ..<0xE0: 2
    case ..<0xF0: 3
    default: 4
    }
  }
}
