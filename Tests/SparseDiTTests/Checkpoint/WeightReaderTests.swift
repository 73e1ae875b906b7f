import Foundation
import Tensors
import Testing

@testable import SparseDiT

@Suite struct WeightReaderTests {
  /// A file of tensors, in the given order.
  static func file(_ tensors: [(name: String, dtype: String, shape: [Int], bytes: [UInt8])])
    -> [UInt8]
  {
    var entries: [String] = []
    var data: [UInt8] = []
    for tensor in tensors {
      let end = data.count + tensor.bytes.count
      entries.append(
        #""\#(tensor.name)":{"dtype":"\#(tensor.dtype)","shape":\#(tensor.shape),"#
          + #""data_offsets":[\#(data.count),\#(end)]}"#)
      data += tensor.bytes
    }
    let header = "{" + entries.joined(separator: ",") + "}"
    let padding = String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    return safetensors(header: header + padding, data: data)
  }

  static func bytes<T>(_ values: [T]) -> [UInt8] { values.withUnsafeBytes(Array.init) }

  static func bfloat(_ values: [Float]) -> [UInt8] {
    bytes(values.map { UInt16($0.bitPattern >> 16) })
  }

  private func reader(
    _ file: [UInt8], _ precision: Precision
  ) throws -> (WeightReader, TemporaryFolder) {
    let folder = try TemporaryFolder()
    try folder.write("part/w.safetensors", file)
    let model = try ModelFolder(directory: folder.path)
    return (try model.weights("part", base: "w", precision: precision), folder)
  }

  /// Values whose conversion to bf16 rounds down, up, and to even both ways; and the extremes.
  static let values: [Float] = [
    0, -0.0, 1, -2.5, 1.00390625, 1.01171875, 1.0000001, 3.1415927, -65504, 6e-8, 1e-30, 3e38,
  ]
  /// Their bf16 bit patterns by PyTorch 2.13.
  static let asBFloat: [UInt16] = [
    0, 0x8000, 0x3F80, 0xC020, 0x3F80, 0x3F82, 0x3F80, 0x4049, 0xC780, 0x3381, 0x0DA2, 0x7F62,
  ]

  @Test(arguments: Precision.allCases) func convertsByKindAndPrecision(precision: Precision) throws
  {
    let halves: [Float16] = [0, 1, -2.5, 65504, 6e-8, 0.333]
    let (reader, _) = try reader(
      Self.file([
        ("single", "F32", [3, 4], Self.bytes(Self.values)),
        ("half", "F16", [6], Self.bytes(halves)),
        ("brain", "BF16", [2, 1], Self.bfloat([1.5, -3])),
      ]), precision)
    let matrixType: DType = precision == .f32 ? .f32 : .bf16

    // An f32 or f16 value is exact in f32; bf16 keeps 8 significant bits, rounded to even.
    let matrix = try reader.tensor("single", [3, 4], keep: .matrix)
    #expect(matrix.dtype == matrixType && matrix.shape == [3, 4])
    let expected =
      precision == .f32
      ? Self.values : Self.asBFloat.map { Float(bitPattern: UInt32($0) << 16) }
    #expect(matrix.floats().map(\.bitPattern) == expected.map(\.bitPattern))
    let vector = try reader.tensor("half", [6])
    #expect(vector.dtype == .f32 && vector.floats() == halves.map(Float.init))
    let half = try reader.tensor("half", [6], keep: .matrix)
    #expect(half.dtype == matrixType && half.floats()[3] == (precision == .f32 ? 65504 : 65536))
    let brain = try reader.tensor("brain", [2, 1], keep: .matrix)
    #expect(brain.dtype == matrixType && brain.floats() == [1.5, -3])
    #expect(try reader.tensor("brain", [2, 1]).dtype == .f32)
    try reader.finish()
  }

  @Test func roundsToNearestEven() throws {
    // Halfway between two bf16 values: 1 + 1/256 goes down to 1, 1 + 3/256 up to 1 + 4/256.
    let values: [Float] = [1 + 1 / 256, 1 + 3 / 256, (1 + 1 / 256 as Float).nextUp, .infinity]
    let (reader, _) = try reader(Self.file([("a", "F32", [4], Self.bytes(values))]), .bf16)
    #expect(
      try reader.tensor("a", [4], keep: .matrix).floats() == [
        1, 1 + 1 / 64, 1 + 1 / 128, .infinity,
      ]
    )
  }

  /// Every f16 value, against the language's own conversion.
  @Test func convertsEveryHalf() throws {
    let halves = (0...UInt16.max).map { $0 }
    let file = Self.file([("a", "F16", [halves.count], Self.bytes(halves))])
    let values = try reader(file, .f32).0.tensor("a", [halves.count]).floats()
    var wrong = 0
    for (half, value) in zip(halves, values) {
      let expected = Float(Float16(bitPattern: half))
      if expected.isNaN ? !value.isNaN : value.bitPattern != expected.bitPattern { wrong += 1 }
    }
    #expect(wrong == 0 && values.count == 65536)
  }

  @Test func usesAlignedWeightsOfTheRightTypeInPlace() throws {
    let file = Self.file([
      ("brain", "BF16", [2], Self.bfloat([1, 2])), ("single", "F32", [1], Self.bytes([3 as Float])),
    ])
    let embedded = UnsafeMutableRawBufferPointer.allocate(byteCount: file.count, alignment: 64)
    defer { embedded.deallocate() }
    embedded.copyBytes(from: file)
    let model = ModelFolder(
      name: "inside", embedded: ["part/w.safetensors": UnsafeRawBufferPointer(embedded)])
    let inside = embedded.baseAddress!..<embedded.baseAddress! + file.count

    let bf16 = try model.weights("part", base: "w", precision: .bf16)
    #expect(inside.contains(try bf16.tensor("brain", [2], keep: .matrix).pointer))
    #expect(!inside.contains(try bf16.tensor("brain", [2]).pointer))
    #expect(inside.contains(try bf16.tensor("single", [1]).pointer))
    #expect(!inside.contains(try bf16.tensor("single", [1], keep: .matrix).pointer))
    let f32 = try model.weights("part", base: "w", precision: .f32)
    #expect(inside.contains(try f32.tensor("single", [1], keep: .matrix).pointer))
    #expect(!inside.contains(try f32.tensor("brain", [2], keep: .matrix).pointer))
  }

  @Test func copiesWeightsAtOddAddresses() throws {
    // A header of odd length is legal and puts every tensor at an odd address.
    let header = #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
    let odd = header.utf8.count % 2 == 1 ? header : header + " "
    let file = safetensors(header: odd, data: Self.bytes([1.25, -7 as Float]))
    let (f32, _) = try reader(file, .f32)
    let tensor = try f32.tensor("a", [2])
    #expect(UInt(bitPattern: tensor.pointer) % 4 == 0)
    #expect(tensor.floats() == [1.25, -7])
    let (bf16, _) = try reader(file, .bf16)
    #expect(try bf16.tensor("a", [2], keep: .matrix).floats() == [1.25, -7])
  }

  @Test func tensorsOutliveTheReaderAndTheFolder() throws {
    var tensor: Tensor?
    do {
      let (reader, folder) = try reader(
        Self.file([("a", "F32", [2], Self.bytes([4, 5 as Float]))]), .f32)
      tensor = try reader.tensor("a", [2])
      withExtendedLifetime(folder) {}
    }
    #expect(tensor?.floats() == [4, 5])
  }

  @Test func namesWhatIsMissingMisshapenOrExtra() throws {
    let (reader, folder) = try reader(
      Self.file([
        ("l.weight", "F32", [2, 3], Self.bytes([Float](repeating: 1, count: 6))),
        ("c.weight", "F32", [1, 2, 3, 3], Self.bytes([Float](repeating: 1, count: 18))),
        ("count", "I64", [1], Self.bytes([1])), ("z.extra", "F64", [1], Self.bytes([1.0])),
      ]), .f32)
    let part = folder.path + "/part"
    #expect(
      try error { _ = try reader.tensor("l.bias", [2]) }
        == .invalidData(#"\#(part): tensor "l.bias" is missing"#))
    #expect(
      try error { _ = try reader.linear("l", in: 2, out: 3) }
        == .invalidData(
          #"\#(part)/w.safetensors: tensor "l.weight": expected shape [3, 2], found [2, 3]"#))
    #expect(
      try error { _ = try reader.linear("l", in: 3, out: 2) }
        == .invalidData(#"\#(part): tensor "l.bias" is missing"#))
    #expect(
      try error { _ = try reader.tensor("count", [1]) }
        == .unsupported(
          #"\#(part)/w.safetensors: tensor "count": dtype I64 is not supported (only F32, F16, BF16)"#
        ))
    let convolution = try reader.convolution("c", in: 2, out: 1, kernel: 3, padding: 1, bias: false)
    #expect(convolution.weight.shape == [1, 2, 3, 3] && convolution.bias == nil)
    _ = try reader.linear("l", in: 3, out: 2, bias: false)
    #expect(reader.contains("count") && !reader.contains("l.bias"))
    #expect(
      try error { try reader.finish() }
        == .invalidData(
          #"\#(part)/w.safetensors: tensor "count" is not part of this model (and 1 more)"#))
    reader.ignore { $0.hasPrefix("count") }
    #expect(
      try error { try reader.finish() }
        == .invalidData(#"\#(part)/w.safetensors: tensor "z.extra" is not part of this model"#))
    reader.ignore { $0 == "z.extra" }
    try reader.finish()
  }

  @Test(arguments: [("F32", Precision.f32), ("F32", .bf16), ("F16", .f32), ("BF16", .bf16)])
  func findsTheFirstWeightThatIsNotFinite(dtype: String, precision: Precision) throws {
    func encoded(_ values: [Float]) -> [UInt8] {
      switch dtype {
      case "F16": Self.bytes(values.map(Float16.init))
      case "BF16": Self.bfloat(values)
      default: Self.bytes(values)
      }
    }
    let good: [Float] = Array(repeating: 1, count: 37)
    let file = Self.file([
      ("good", dtype, [37], encoded(good)),
      ("bad", dtype, [38], encoded(good + [.nan])),
      ("worse", dtype, [38], encoded([-.infinity] + good)),
    ])
    let (reader, folder) = try reader(file, precision)
    _ = try reader.tensor("good", [37], keep: .matrix)
    #expect(reader.named.firstNonFinite() == nil)
    _ = try reader.tensor("worse", [38], keep: .matrix)
    _ = try reader.tensor("bad", [38], keep: .matrix)
    #expect(
      reader.named.firstNonFinite() == #"\#(folder.path)/part/w.safetensors: tensor "worse""#)
  }
}
