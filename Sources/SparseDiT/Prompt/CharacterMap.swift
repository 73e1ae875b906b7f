import Tensors

/// SentencePiece's precompiled character map, applied the way Hugging Face's tokenizers apply it.
///
/// Layout of the bytes: the trie's length in bytes (u32, little endian), the trie (a double array of
/// u32 units), then replacement texts that each end with a zero byte. The trie maps a text to the
/// offset of its replacement.
struct CharacterMap: Sendable {
  private let units: [UInt32]
  private let replacements: [UInt8]

  /// Clusters of this many UTF-8 bytes and more are only mapped scalar by scalar.
  private static let longCluster = 6

  /// - Throws: `invalidData` when the bytes are not such a map.
  init(_ bytes: [UInt8], name: String) throws(SparseDiTError) {
    let malformed = SparseDiTError.invalidData("\(name): its character map is malformed")
    let trieSize = bytes.withUnsafeBytes { raw in
      raw.count < 4 ? nil : Int(UInt32(littleEndian: raw.loadUnaligned(as: UInt32.self)))
    }
    guard let trieSize, trieSize > 0, trieSize % 4 == 0, trieSize <= bytes.count - 4 else {
      throw malformed
    }
    units = bytes.withUnsafeBytes { raw in
      (0..<trieSize / 4).map { index in
        UInt32(
          littleEndian: raw.loadUnaligned(fromByteOffset: 4 + 4 * index, as: UInt32.self))
      }
    }
    replacements = Array(bytes[(4 + trieSize)...])
    guard String(validating: replacements, as: UTF8.self) != nil else { throw malformed }
  }

  /// The text with every grapheme cluster mapped as a whole where the map knows a prefix of it and
  /// it is short, scalar by scalar otherwise.
  ///
  /// SentencePiece itself takes the longest match from each position. The two agree but for some
  /// clusters with combining marks; ids must equal those of transformers, which uses tokenizers.
  func apply(to text: String) -> String {
    var result: [UInt8] = []
    result.reserveCapacity(text.utf8.count)
    for cluster in text {
      let utf8 = Array(cluster.utf8)
      if utf8.count < Self.longCluster, let replacement = replacement(of: utf8[...]) {
        result.append(contentsOf: replacement)
        continue
      }
      for scalar in cluster.unicodeScalars {
        let utf8 = Array(String(scalar).utf8)
        result.append(contentsOf: replacement(of: utf8[...]) ?? utf8[...])
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// The replacement of the shortest known prefix; nil when the map knows none.
  private func replacement(of key: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard let offset = shortestMatch(key), offset <= replacements.count else { return nil }
    let end = replacements[offset...].firstIndex(of: 0) ?? replacements.count
    return replacements[offset..<end]
  }

  /// Walks the double array (the layout of the Darts-clone library). A unit holds the label that
  /// must match, the distance to its children, and whether its first child is a value.
  private func shortestMatch(_ key: ArraySlice<UInt8>) -> Int? {
    guard let root = units.first else { return nil }
    var position = childOffset(root)
    for byte in key {
      if byte == 0 { return nil }
      position ^= Int(byte)
      guard position < units.count else { return nil }
      let unit = units[position]
      guard unit & 0x8000_00FF == UInt32(byte) else { return nil }
      position ^= childOffset(unit)
      if unit & 0x100 != 0 {
        return position < units.count ? Int(units[position] & 0x7FFF_FFFF) : nil
      }
    }
    return nil
  }

  private func childOffset(_ unit: UInt32) -> Int {
    Int(unit >> 10) << Int((unit & 0x200) >> 6)
  }
}
