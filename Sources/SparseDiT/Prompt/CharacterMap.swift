import Tensors

/// SentencePiece's precompiled character map, checked: no lookup can leave it.
///
/// Layout of the bytes: the trie's length in bytes (u32, little endian), the trie (a double array of
/// u32 units, as the Darts-clone library builds it), then replacement texts that each end with a zero
/// byte. The trie maps a text to the offset of its replacement.
///
/// A lookup starts at unit 0. In the state that a unit leads to, a text's next byte picks the unit at
/// state ^ byte, whatever that is, and goes on from there if that unit carries the byte.
struct CharacterMap: Sendable {
  private let units: [UInt32]

  /// More than ten times Unicode's own tables; bounds what the check takes.
  private static let maximumBytes = 1 << 22
  /// The library keeps the matches of one lookup in an array of 32 and does not check whether
  /// there are more.
  private static let maximumMatches = 32
  /// A character becomes 33 bytes at most in Unicode's own tables. Bounds what a prompt becomes.
  private static let maximumReplacement = 256

  /// An empty map leaves all characters as they are.
  /// - Throws: `invalidData` when the bytes are not such a map, or a lookup could leave it.
  init(_ bytes: [UInt8], name: String) throws(SparseDiTError) {
    units = try bytes.isEmpty ? [] : Self.checkedUnits(bytes, name: name)
  }

  private static func checkedUnits(
    _ bytes: [UInt8], name: String
  ) throws(SparseDiTError) -> [UInt32] {
    let malformed = SparseDiTError.invalidData("\(name): its character map is malformed")
    let trieSize = bytes.withUnsafeBytes { raw in
      raw.count < 4 ? nil : Int(UInt32(littleEndian: raw.loadUnaligned(as: UInt32.self)))
    }
    guard let trieSize, trieSize > 0, trieSize % 4 == 0, trieSize <= bytes.count - 4,
      bytes.count <= maximumBytes
    else {
      throw malformed
    }
    let units = bytes.withUnsafeBytes { raw in
      (0..<trieSize / 4).map { index in
        UInt32(
          littleEndian: raw.loadUnaligned(fromByteOffset: 4 + 4 * index, as: UInt32.self))
      }
    }
    let replacements = bytes[(4 + trieSize)...]
    guard replacements.last == 0, String(validating: replacements, as: UTF8.self) != nil,
      replacements.split(separator: 0).allSatisfy({ $0.count <= maximumReplacement })
    else { throw malformed }
    let matches = bytes.withUnsafeBufferPointer { bytes in
      units.withUnsafeBufferPointer { units in
        TrieCheck(units, replacements: UnsafeBufferPointer(rebasing: bytes[(4 + trieSize)...]))
          .mostMatches()
      }
    }
    guard let matches, matches <= maximumMatches else { throw malformed }
    return units
  }

  /// Whether a text that begins with this character is replaced, or a part of it is.
  func maps(_ scalar: Unicode.Scalar) -> Bool {
    guard let root = units.first else { return false }
    var state = TrieCheck.children(root)
    for byte in String(scalar).utf8 {
      let unit = units[state ^ Int(byte)]
      guard unit & TrieCheck.labelBits == UInt32(byte) else { return false }
      if unit & TrieCheck.hasLeaf != 0 { return true }
      state = state ^ Int(byte) ^ TrieCheck.children(unit)
    }
    return false
  }
}

/// Walks all paths through a double array.
private struct TrieCheck {
  /// A unit's label: the byte that leads to it. The highest bit marks a value, which no byte equals.
  static let labelBits: UInt32 = 0x8000_00FF
  static let hasLeaf: UInt32 = 0x100
  private static let valueBits: UInt32 = 0x7FFF_FFFF

  private let units: UnsafeBufferPointer<UInt32>
  private let replacements: UnsafeBufferPointer<UInt8>
  /// The first unit that each state leads to, and the next of the same state; -1 ends the list.
  private var first: [Int32]
  private var next: [Int32]

  init(_ units: UnsafeBufferPointer<UInt32>, replacements: UnsafeBufferPointer<UInt8>) {
    self.units = units
    self.replacements = replacements
    // Labels reach anywhere in a block of 256 units, the last of which may be cut.
    first = [Int32](repeating: -1, count: (units.count + 255) / 256 * 256)
    next = [Int32](repeating: -1, count: units.count)
    for (index, unit) in units.enumerated() where unit & Self.labelBits <= 0xFF {
      let state = index ^ Int(unit & 0xFF)
      next[index] = first[state]
      first[state] = Int32(index)
    }
  }

  /// How far a unit's state is from the unit, to be combined by exclusive or.
  static func children(_ unit: UInt32) -> Int {
    Int(unit >> 10) << Int((unit & 0x200) >> 6)
  }

  /// The most entries that one text can begin with; nil when a text could lead out of the array, out
  /// of the replacements, or round in a circle.
  func mostMatches() -> Int? {
    guard let root = units.first else { return nil }
    let start = Self.children(root)
    guard isInside(start) else { return nil }
    var progress = [State](repeating: .new, count: first.count)
    var stack = [Step(state: start, unit: first[start])]
    progress[start] = .open
    while var step = stack.popLast() {
      guard step.unit >= 0 else {
        progress[step.state] = .done(step.most)
        continue
      }
      let unit = units[Int(step.unit)]
      let state = Int(step.unit) ^ Self.children(unit)
      guard isInside(state), unit & Self.hasLeaf == 0 || isValue(units[state]) else { return nil }
      switch progress[state] {
      case .open: return nil
      case .new:
        // This step is looked at again when the state is done.
        progress[state] = .open
        stack.append(step)
        stack.append(Step(state: state, unit: first[state]))
      case .done(let most):
        step.most = max(step.most, most + (unit & Self.hasLeaf == 0 ? 0 : 1))
        step.unit = next[Int(step.unit)]
        stack.append(step)
      }
    }
    guard case .done(let most) = progress[start] else { return nil }
    return most
  }

  private enum State {
    case new, open
    case done(Int)
  }

  /// A state on the way, the unit to look at next, and the most matches found behind it so far.
  private struct Step {
    let state: Int
    var unit: Int32
    var most = 0
  }

  /// Whether every byte leads from a state to a unit that is there.
  private func isInside(_ state: Int) -> Bool { state | 0xFF < units.count }

  /// Whether a unit is the offset of a replacement, at the start of a character.
  private func isValue(_ unit: UInt32) -> Bool {
    let offset = Int(unit & Self.valueBits)
    return offset < replacements.count && replacements[offset] & 0xC0 != 0x80
  }
}
