import Tensors
import Testing

@testable import SparseDiT

@Suite struct CaptionTests {
  @Test func takesPromptsUpToTheLimit() throws {
    #expect(try Caption.checked([UInt8](), name: "prompt") == "")
    let longest = [UInt8](repeating: 0x61, count: 65536)
    #expect(try Caption.checked(longest, name: "prompt").utf8.count == 65536)
    #expect(
      try error { _ = try Caption.checked(longest + [0x61], name: "prompt") }
        == .invalidArgument("prompt: is 65537 bytes long (at most 65536 are allowed)"))
    let megabyte = String(repeating: "é", count: 1 << 19)
    #expect(
      try error { try Caption.check(megabyte, name: "negative prompt") }
        == .invalidArgument("negative prompt: is 1048576 bytes long (at most 65536 are allowed)"))
    try Caption.check("", name: "prompt")
  }

  @Test(
    arguments: [
      ([0xFF], 0), ([0x61, 0x80], 1), ([0x61, 0xC3], 1), ([0xC3, 0xA9, 0xC0, 0x80], 2),
      ([0x61, 0xED, 0xA0, 0x80], 1), ([0x61, 0x62, 0xF4, 0x90, 0x80, 0x80], 2),
      ([0xE2, 0x82, 0xAC, 0xE2, 0x82], 3),
    ] as [([UInt8], Int)])
  func namesTheFirstByteThatIsNotUTF8(bytes: [UInt8], offset: Int) throws {
    #expect(
      try error { _ = try Caption.checked(bytes, name: "prompt") }
        == .invalidArgument("prompt: is not valid UTF-8 at byte \(offset)"))
  }

  @Test func lowersAndStripsAsPythonDoes() {
    // Each checked with Python 3.11: s.lower().strip().
    #expect(Caption.cleaned("  A Red HOUSE\t\n") == "a red house")
    #expect(Caption.cleaned("\u{1C}\u{1F}\u{85}x\u{2029}\u{3000}") == "x")
    #expect(Caption.cleaned("\u{200B}x\u{FEFF}") == "\u{200B}x\u{FEFF}")
    #expect(Caption.cleaned("ΟΔΟΣ") == "οδος")
    #expect(Caption.cleaned("Σ ΑΣΑ Α.Σ").unicodeScalars.elementsEqual("σ ασα α.ς".unicodeScalars))
    #expect(Caption.cleaned("İ").unicodeScalars.elementsEqual("i\u{307}".unicodeScalars))
    #expect(Caption.cleaned(" \n ") == "")
  }
}
