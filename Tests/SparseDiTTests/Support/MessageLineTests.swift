import Testing

@testable import SparseDiT

@Suite("Messages are one printable line")
struct MessageLineTests {
  @Test(
    "white space becomes spaces, what cannot be seen a mark",
    arguments: [
      ("as it is: 'é' – 家 🏠", "as it is: 'é' – 家 🏠"),
      ("two\r\n\tlines\u{2028}and\u{85}more", "two lines and more"),
      ("\u{1B}[31mred\u{7}", "\u{FFFD}[31mred\u{FFFD}"),
      ("a\u{202E}b\u{200B}c\u{A0}d", "a\u{FFFD}b\u{FFFD}c d"), ("", ""),
    ])
  func characters(text: String, line: String) {
    #expect(messageLine(text) == line)
  }

  @Test("what is too long loses its middle, between characters", arguments: ["a", "é", "家", "🏠"])
  func length(character: Character) {
    let whole = String(repeating: character, count: 1000 / String(character).utf8.count)
    #expect(messageLine(whole) == whole)
    let line = messageLine("name: " + String(repeating: character, count: 300_000) + ": wrong")
    #expect(line.hasPrefix("name: \(character)") && line.hasSuffix("\(character): wrong"))
    #expect(line.contains("\(character) … \(character)") && !line.contains("\u{FFFD}"))
    #expect((990...1000).contains(line.utf8.count))
  }
}
