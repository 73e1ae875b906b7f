import Tensors
import Testing

@testable import SparseDiT

@Suite struct ConfigTests {
  private func config(_ text: String) throws -> ConfigObject {
    let folder = try TemporaryFolder()
    try folder.write("config.json", text)
    return try ModelFolder(directory: folder.path).config("config.json")
  }

  /// The error of an accessor, without the folder's name.
  private func message(
    _ text: String, _ read: (ConfigObject) throws -> Void
  ) throws -> SparseDiTError {
    let config = try config(text)
    let start = config.name.utf8.count - "config.json".utf8.count
    let cut: (String) -> String = { String($0.dropFirst(start)) }
    switch try error({ try read(config) }) {
    case .invalidData(let message): return .invalidData(cut(message))
    case .unsupported(let message): return .unsupported(cut(message))
    case let other: return other
    }
  }

  @Test func readsEveryKind() throws {
    let config = try config(
      #"""
      {"layers": 28, "beta": 1e-4, "whole": 2, "huge": 1000000000000000000000000000000,
       "on": true, "off": false, "none": null, "name": "caf\u00e9 \"x\" \ud83d\ude00\n",
       "list": [1, 3, 1, 1], "rates": [0.61, 1], "words": ["a", "b"], "empty": [],
       "lower": -Infinity, "not": NaN, "upper": Infinity,
       "sparsity": {"modules": 4, "inner": {"deep": 1}}}
      """#)
    #expect(try config.int("layers", in: 1...1000) == 28)
    #expect(try config.double("beta") == 1e-4)
    #expect(try config.double("whole", in: 0...2) == 2)
    #expect(try config.double("huge") == 1e30)
    #expect(try config.bool("on") && !config.bool("off"))
    #expect(try config.string("name") == "café \"x\" 😀\n")
    #expect(try config.ints("list", in: 0...9, count: 4...4) == [1, 3, 1, 1])
    #expect(try config.doubles("rates", count: 2...2) == [0.61, 1])
    #expect(try config.strings("words") == ["a", "b"])
    #expect(try config.int("missing", in: 1...2, default: 7) == 7)
    #expect(try config.int("none", in: 1...2, default: 7) == 7)
    #expect(try config.string("none", oneOf: ["a"], default: "b") == "b")
    #expect(config.contains("lower") && !config.contains("none") && config.isNull("none"))
    #expect(try config.object("none") == nil && config.object("missing") == nil)
    let inner = try #require(try config.object("sparsity")?.object("inner"))
    #expect(try inner.int("deep", in: 0...1) == 1)
    try config.require("layers", equals: 28)
    try config.require("missing", equals: "anything")
    try config.requireNull("none")
  }

  @Test func namesFileKeyExpectedAndFound() throws {
    let text = #"{"n": 0, "f": 1.5, "t": "x\ny", "o": {"k": [1, "2"], "z": null}, "i": -Infinity}"#
    #expect(
      try message(text) { _ = try $0.int("missing", in: 0...1) }
        == .invalidData("config.json: missing is missing (expected an integer)"))
    #expect(
      try message(text) { _ = try $0.int("n", in: 1...9) }
        == .invalidData("config.json: n: expected 1 to 9, found 0"))
    #expect(
      try message(text) { _ = try $0.int("f", in: 1...9) }
        == .invalidData("config.json: f: expected an integer, found 1.5"))
    #expect(
      try message(text) { _ = try $0.double("t") }
        == .invalidData("config.json: t: expected a finite number, found \"x\u{FFFD}y\""))
    #expect(
      try message(text) { _ = try $0.double("i") }
        == .invalidData("config.json: i: expected a finite number, found -inf"))
    #expect(
      try message(text) { _ = try $0.double("f", in: 0...1) }
        == .invalidData("config.json: f: expected 0.0 to 1.0, found 1.5"))
    #expect(
      try message(text) { _ = try $0.bool("n") }
        == .invalidData("config.json: n: expected true or false, found 0"))
    #expect(
      try message(text) { _ = try $0.object("f") }
        == .invalidData("config.json: f: expected an object, found 1.5"))
    #expect(
      try message(text) { _ = try $0.object("o")?.ints("k", in: 0...9) }
        == .invalidData("config.json: o.k[1]: expected an integer, found \"2\""))
    #expect(
      try message(text) { _ = try $0.object("o")?.ints("k", in: 0...9, count: 4...4) }
        == .invalidData("config.json: o.k: expected an array of 4, found an array of 2"))
    #expect(
      try message(text) { _ = try $0.object("o")?.string("z") }
        == .invalidData("config.json: o.z is null (expected a string)"))
  }

  @Test func saysWhatIsNotSupported() throws {
    let text = #"{"t": "x", "n": 2, "b": true, "o": {"t": "y"}}"#
    #expect(
      try message(text) { _ = try $0.string("t", oneOf: ["a", "b"]) }
        == .unsupported(#"config.json: t: "x" is not supported (only "a", "b")"#))
    #expect(
      try message(text) { try $0.require("n", equals: 3) }
        == .unsupported("config.json: n: 2 is not supported (only 3)"))
    #expect(
      try message(text) { try $0.require("n", equals: 1.5) }
        == .unsupported("config.json: n: 2.0 is not supported (only 1.5)"))
    #expect(
      try message(text) { try $0.require("b", equals: false) }
        == .unsupported("config.json: b: true is not supported (only false)"))
    #expect(
      try message(text) { try $0.object("o")?.require("t", equals: "z") }
        == .unsupported(#"config.json: o.t: "y" is not supported (only "z")"#))
    #expect(
      try message(text) { try $0.requireNull("b") }
        == .unsupported("config.json: b: true is not supported (only null)"))
  }

  @Test(arguments: [
    ("", "the text ends where a value should be at byte 0"),
    ("{", "expected a key in quotes at byte 1"),
    ("{\"a\": 1,}", "expected a key in quotes at byte 8"),
    ("{\"a\": 01}", "malformed number at byte 6"),
    ("{\"a\": 1.}", "malformed number at byte 6"),
    ("{\"a\": 1e}", "malformed number at byte 6"),
    ("{\"a\": -}", "malformed number at byte 6"),
    ("{\"a\": +1}", "unexpected character at byte 6"),
    ("{\"a\": nul}", "unexpected character at byte 6"),
    ("{\"a\": [1 2]}", "expected ',' or ']' at byte 9"),
    ("{\"a\": 1 \"b\": 2}", "expected ',' or '}' at byte 8"),
    ("{\"a\": \"b\nc\"}", "control character in a string at byte 8"),
    ("{\"a\": \"b", "a string that does not end at byte 6"),
    ("{\"a\": \"b\\", "a string that does not end at byte 8"),
    ("{\"a\": \"\\x\"}", "unknown escape at byte 7"),
    ("{\"a\": \"\\u12g4\"}", "malformed \\u escape at byte 7"),
    ("{\"a\": \"\\ud800\"}", "half a surrogate pair at byte 7"),
    ("{\"a\": \"\\udc00\"}", "half a surrogate pair at byte 7"),
    ("{\"a\": \"\\ud800\\u0041\"}", "half a surrogate pair at byte 7"),
    ("{\"a\": 1, \"a\": 2}", "duplicate key \"a\" at byte 9"),
    ("{\"a\": 1} // x", "text after the JSON value at byte 9"),
  ])
  func refusesMalformedJSON(text: String, expected: String) throws {
    let error = try error { _ = try config(text) }
    #expect("\(error)".hasSuffix("config.json: not valid JSON: \(expected)"), "\(error)")
  }
}
