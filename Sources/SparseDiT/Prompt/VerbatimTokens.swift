import Tensors

/// Texts that stand for an id wherever they occur in a caption, such as `</s>`.
struct VerbatimTokens: Sendable {
  /// T5 has 103. Bounds the time to look for them.
  private static let maximumCount = 4096

  /// By their first byte, the longest first.
  private var tokens: [UInt8: [(bytes: [UInt8], id: Int32)]] = [:]

  /// Of equal texts the last one counts.
  /// - Parameter name: of their file, for messages.
  /// - Throws: `unsupported` when there are thousands.
  init(_ texts: [(text: String, id: Int)], name: String) throws(SparseDiTError) {
    guard texts.count <= Self.maximumCount else {
      throw .unsupported(
        "\(name): has \(texts.count) special tokens (at most \(Self.maximumCount) are supported)")
    }
    for (text, id) in texts.reversed() {
      let bytes = Array(text.utf8)
      guard let first = bytes.first,
        !tokens[first, default: []].contains(where: { $0.bytes == bytes })
      else { continue }
      tokens[first, default: []].append((bytes, Int32(id)))
    }
    tokens = tokens.mapValues { $0.sorted { $0.bytes.count > $1.bytes.count } }
  }

  enum Part {
    case text(Substring)
    case token(Int32)
  }

  /// A caption in parts, where at each place the longest token wins.
  func split(_ caption: String) -> [Part] {
    var parts: [Part] = []
    let utf8 = caption.utf8
    var (plain, position) = (utf8.startIndex, utf8.startIndex)
    while position < utf8.endIndex {
      let rest = utf8[position...]
      guard let found = tokens[utf8[position]]?.first(where: { rest.starts(with: $0.bytes) }) else {
        utf8.formIndex(after: &position)
        continue
      }
      if plain < position { parts.append(.text(caption[plain..<position])) }
      parts.append(.token(found.id))
      utf8.formIndex(&position, offsetBy: found.bytes.count)
      plain = position
    }
    if plain < position { parts.append(.text(caption[plain...])) }
    return parts
  }
}
