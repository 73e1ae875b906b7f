import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// Tables in which a lookup would leave the table (CVE-2026-1260), or find more than fits.
@Suite struct CharacterMapTests {
  /// A double array of one block: the root at 0 leads to the state 256.
  private struct Trie {
    var units = [UInt32](repeating: 0x8000_0000, count: 1024)
    var replacements: [UInt8] = Array("x\0é\0".utf8)

    init() { units[0] = Trie.unit(from: 0, to: 256, label: 0) }

    /// - Parameter hasValue: whether the state is also the end of an entry.
    static func unit(from: Int, to: Int, label: UInt8, hasValue: Bool = false) -> UInt32 {
      UInt32(from ^ to) << 10 | (hasValue ? 0x100 : 0) | UInt32(label)
    }

    /// Leads from a state by a byte to another, with a value there.
    mutating func lead(_ state: Int, _ byte: UInt8, to next: Int, value: UInt32? = nil) {
      let place = state ^ Int(byte)
      units[place] = Trie.unit(from: place, to: next, label: byte, hasValue: value != nil)
      if let value { units[next] = 0x8000_0000 | value }
    }

    var bytes: [UInt8] {
      var bytes: [UInt8] = []
      for word in [UInt32(units.count * 4)] + units {
        withUnsafeBytes(of: word.littleEndian) { bytes += $0 }
      }
      return bytes + replacements
    }

    var isTaken: Bool { (try? CharacterMap(bytes, name: "m")) != nil }
  }

  @Test func takesAMapThatMapsAndTheLibraryUsesIt() throws {
    var trie = Trie()
    trie.lead(256, UInt8(ascii: "b"), to: 512, value: 0)
    trie.lead(512, UInt8(ascii: "c"), to: 768, value: 2)
    let map = try CharacterMap(trie.bytes, name: "m")
    #expect(map.maps("b") && !map.maps("c") && !map.maps("é"))
    var model = SentencePieceModel()
    model.pieces = [
      .init(text: "<unk>", kind: .unknown), .init(text: "\u{2581}x"), .init(text: "é"),
    ]
    model.normalizer.characterMap = trie.bytes
    try model.check(name: "m")
    #expect(try SentencePieceProcessor(model, name: "m").encode("b") == [1])
    let none = try CharacterMap([], name: "m")
    #expect(!none.maps("a"))
  }

  @Test func refusesALookupThatLeavesTheArray() {
    var trie = Trie()
    // The root's state lies in the last block but one byte of it would lead behind the end.
    trie.units[0] = Trie.unit(from: 0, to: 1 << 20, label: 0)
    #expect(!trie.isTaken)
    trie = Trie()
    trie.lead(256, 0x61, to: 1 << 15)
    #expect(!trie.isTaken)
    // A long offset, of which the bit 0x200 says that it counts blocks of 256.
    trie = Trie()
    trie.units[256 ^ 0x61] = 0x7FFF_FE61
    #expect(!trie.isTaken)
    // The block that the state lies in is cut.
    trie = Trie()
    trie.units.removeLast(1024 - 511)
    #expect(!trie.isTaken)
    trie.units.append(0x8000_0000)
    #expect(trie.isTaken)
  }

  @Test func refusesAValueThatIsNoReplacement() {
    for (value, isTaken) in [(0, true), (2, true), (3, false), (4, true), (5, false)] {
      var trie = Trie()
      trie.lead(256, 0x61, to: 512, value: UInt32(value))
      #expect(trie.isTaken == isTaken, "\(value)")
    }
    var trie = Trie()
    trie.lead(256, 0x61, to: 512, value: 0x7FFF_FFFF)
    #expect(!trie.isTaken)
  }

  @Test func refusesReplacementsThatAreNotTexts() {
    for (replacements, isTaken) in [
      ("x\0", true), ("x", false), ("", false),
      (String(repeating: "x", count: 256) + "\0", true),
      (String(repeating: "x", count: 257) + "\0", false),
    ] {
      var trie = Trie()
      trie.replacements = Array(replacements.utf8)
      #expect(trie.isTaken == isTaken)
    }
    var trie = Trie()
    trie.replacements = [0xFF, 0]
    #expect(!trie.isTaken)
  }

  @Test func refusesACircle() {
    var trie = Trie()
    trie.lead(256, 0x61, to: 512)
    trie.lead(512, 0x62, to: 256)
    #expect(!trie.isTaken)
    trie = Trie()
    trie.lead(256, 0x61, to: 256)
    #expect(!trie.isTaken)
  }

  /// The library has room for 32 matches of one text.
  @Test func refusesMoreMatchesThanThereIsRoomFor() {
    for (count, isTaken) in [(32, true), (33, false)] {
      var trie = Trie()
      trie.units += [UInt32](repeating: 0x8000_0000, count: 34 * 256)
      for index in 1...count {
        trie.lead(256 * index, 0x61, to: 256 * (index + 1), value: 0)
      }
      #expect(trie.isTaken == isTaken)
    }
  }

  @Test func refusesWhatIsNoMap() {
    let map = Trie().bytes
    for count in [1, 3, 4, 5, 7, 8, 4096, 4099, 4100] {
      #expect(throws: SparseDiTError.invalidData("cut: its character map is malformed")) {
        _ = try CharacterMap(Array(map.prefix(count)), name: "cut")
      }
    }
    #expect(throws: SparseDiTError.self) {
      _ = try CharacterMap(map + [UInt8](repeating: 0, count: 1 << 22), name: "long")
    }
  }
}
