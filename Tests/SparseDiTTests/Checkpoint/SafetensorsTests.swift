import Tensors
import Testing

@testable import SparseDiT

/// One case for each rule of the format, with the part of the message that names what is wrong.
@Suite struct SafetensorsTests {
  struct Malformed: Sendable, CustomTestStringConvertible {
    let rule: String
    let bytes: [UInt8]
    let message: String
    var testDescription: String { rule }

    init(_ rule: String, _ header: String, data: Int = 0, length: UInt64? = nil, _ message: String)
    {
      self.rule = rule
      bytes = safetensors(header: header, dataCount: data, length: length)
      self.message = message
    }

    init(_ rule: String, bytes: [UInt8], _ message: String) {
      self.rule = rule
      self.bytes = bytes
      self.message = message
    }
  }

  static let malformed: [Malformed] = [
    Malformed("empty file", bytes: [], "0 bytes are too few for a safetensors file (at least 8)"),
    Malformed(
      "seven bytes", bytes: [2, 0, 0, 0, 0, 0, 0],
      "7 bytes are too few for a safetensors file (at least 8)"),
    Malformed(
      "header above the limit", "{}", length: 100_000_001,
      "header length 100000001 is above the limit of 100000000 bytes"),
    Malformed(
      "header length of all ones", "{}", length: .max,
      "header length 18446744073709551615 is above the limit of 100000000 bytes"),
    Malformed(
      "header longer than the file", "{}", length: 3,
      "truncated: the header needs 11 bytes, the file has 10"),
    Malformed("header empty", "", "header: not valid JSON: the text ends where a value should be"),
    Malformed("header not JSON", "{\"a\" 1}", "header: not valid JSON: expected ':' at byte 5"),
    Malformed("header cut off", "{\"a\":", "header: not valid JSON: the text ends"),
    Malformed("header not an object", "[]", "header: expected an object, found an array of 0"),
    Malformed(
      "text after the header", "{} x", "header: not valid JSON: text after the JSON value"),
    Malformed(
      "header not UTF-8",
      bytes: safetensors(header: "", data: [], length: 6) + [0x7B, 0x22, 0xFF]
        + Array("\":1".utf8), "header: not valid JSON: a string that is not UTF-8 at byte 1"),
    Malformed(
      "NaN in the header", "{\"a\":NaN}", "header: not valid JSON: unexpected character at byte 5"),
    Malformed(
      "duplicate tensor",
      #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"#
        + #""a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#, data: 2,
      #"header: not valid JSON: duplicate key "a" at byte 53"#),
    Malformed(
      "duplicate key in a tensor", #"{"a":{"dtype":"U8","dtype":"U8"}}"#,
      #"header: not valid JSON: duplicate key "dtype""#),
    Malformed(
      "metadata not an object", #"{"__metadata__":"x"}"#,
      #"__metadata__: expected an object, found "x""#),
    Malformed(
      "metadata not text", #"{"__metadata__":{"step":7}}"#,
      #"__metadata__: "step": expected a string, found 7"#),
    tensor("entry not an object", "7", #"tensor "a": expected an object, found 7"#),
    tensor("no dtype", entry(dtype: nil), #"tensor "a": dtype: expected a string, found nothing"#),
    tensor("unknown dtype", entry(dtype: #""F31""#), #"tensor "a": unknown dtype "F31""#),
    tensor("dtype a number", entry(dtype: "4"), #"tensor "a": dtype: expected a string, found 4"#),
    tensor(
      "unknown key", #"{"dtype":"F32","shape":[2],"data_offsets":[0,8],"strides":[1]}"#,
      #"tensor "a": unknown key "strides""#),
    tensor("no shape", entry(shape: nil), #"tensor "a": shape: expected an array, found nothing"#),
    tensor(
      "negative size", entry(shape: "[-1]"),
      #"tensor "a": shape: expected integers from 0 to 2^63 - 1, found -1"#),
    tensor(
      "fractional size", entry(shape: "[2.0]"),
      #"tensor "a": shape: expected integers from 0 to 2^63 - 1, found 2.0"#),
    tensor(
      "size beyond 64 bits", entry(shape: "[18446744073709551618]"),
      #"tensor "a": shape: expected integers from 0 to 2^63 - 1, found 1.8446744073709552e+19"#),
    tensor(
      "element count beyond 64 bits", entry(shape: "[4294967296,4294967296]"),
      #"tensor "a": shape [4294967296, 4294967296] is too large"#),
    tensor(
      "size as text", entry(shape: #"["2"]"#),
      #"tensor "a": shape: expected integers from 0 to 2^63 - 1, found "2""#),
    tensor(
      "one offset", entry(offsets: "[8]"),
      #"tensor "a": data_offsets: expected [begin, end], found [8]"#),
    tensor(
      "offsets reversed", entry(offsets: "[8,0]"),
      #"tensor "a": data_offsets: expected [begin, end], found [8, 0]"#),
    tensor(
      "offset negative", entry(offsets: "[-8,0]"),
      #"tensor "a": data_offsets: expected integers from 0 to 2^63 - 1, found -8"#),
    tensor(
      "tensor behind the end", entry(offsets: "[4,12]"),
      #"tensor "a": truncated: its bytes end at 12, the file has 8 after the header"#),
    tensor(
      "shape too small for its bytes", entry(shape: "[1]"),
      #"tensor "a": F32 [1] takes 4 bytes, data_offsets give 8"#),
    tensor(
      "hole at the start", entry(shape: "[1]", offsets: "[4,8]"),
      #"hole of 4 bytes before tensor "a""#),
    tensor(
      "bytes after the last tensor", entry(shape: "[1]", offsets: "[0,4]"),
      "4 bytes after the last tensor"),
    Malformed(
      "overlap",
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
        + #""b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, data: 8,
      #"tensor "b" overlaps tensor "a""#),
    Malformed(
      "same bytes twice",
      #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
        + #""b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, data: 8,
      #"tensor "b" overlaps tensor "a""#),
    Malformed(
      "hole in the middle",
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#
        + #""b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#, data: 12,
      #"hole of 4 bytes before tensor "b""#),
    Malformed("no tensors but data", "{}", data: 3, "3 bytes after the last tensor"),
    Malformed(
      "nested too deeply", String(repeating: "[", count: 100_000), "nested too deeply at byte 64"),
  ]

  /// The entry of one tensor of 2 × f32, with what is given instead of the right parts.
  static func entry(
    dtype: String? = #""F32""#, shape: String? = "[2]", offsets: String? = "[0,8]"
  ) -> String {
    let parts = [("dtype", dtype), ("shape", shape), ("data_offsets", offsets)]
    return "{"
      + parts.compactMap { key, value in value.map { "\"\(key)\":\($0)" } }
      .joined(separator: ",") + "}"
  }

  static func tensor(_ rule: String, _ entry: String, _ message: String) -> Malformed {
    Malformed(rule, "{\"a\":\(entry)}", data: 8, message)
  }

  @Test(arguments: malformed) func refusesWith(_ malformed: Malformed) throws {
    let folder = try TemporaryFolder()
    try folder.write("part/w.safetensors", malformed.bytes)
    let model = try ModelFolder(directory: folder.path)
    let error = try error {
      _ = try model.weights("part", base: "w", precision: .f32)
    }
    guard case .invalidData(let message) = error else {
      Issue.record("\(error)")
      return
    }
    #expect(message.hasPrefix("\(folder.path)/part/w.safetensors: "))
    #expect(message.contains(malformed.message), "\(message)")
    #expect(!message.contains("\n"))
  }

  @Test func acceptsWhatIsLegal() throws {
    // Zero-size and rank-0 tensors, metadata, padding spaces, another order than that of the bytes.
    let header =
      #"{"__metadata__":{"format":"pt"},"z":{"dtype":"BF16","shape":[],"data_offsets":[8,10]},"#
      + #""a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"#
      + #""e":{"dtype":"F32","shape":[3,0,2],"data_offsets":[8,8]}}   "#
    let folder = try TemporaryFolder()
    let infinity: [UInt8] = [0, 0, 0x80, 0x7F]
    try folder.write(
      "part/w.safetensors", safetensors(header: header, data: infinity + infinity + [0xC0, 0x3F]))
    let reader = try ModelFolder(directory: folder.path)
      .weights("part", base: "w", precision: .f32)
    #expect(try reader.tensor("a", [2, 1]).floats() == [.infinity, .infinity])
    #expect(try reader.tensor("z", []).floats() == [1.5])
    #expect(try reader.tensor("e", [3, 0, 2]).floats() == [])
    try reader.finish()
  }
}
