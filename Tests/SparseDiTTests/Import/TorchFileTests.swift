import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// What `torch.save` wrote against the values that torch says are in it.
@Suite struct TorchFileTests {
  private struct Described: Decodable {
    let dtype: String
    let shape: [Int]
    let values: [Double]
  }

  @Test(arguments: ["forms.pt", "forms-training.pt", "forms-4.pt", "forms-older.pt"])
  func readsEveryFormOfTensor(_ name: String) throws {
    let text = try Data(contentsOf: URL(filePath: TorchFiles.golden("forms.json")))
    let expected = try JSONDecoder().decode([String: Described].self, from: text)
    let tensors = try WeightFile.read(TorchFiles.golden(name), name: name)
    #expect(tensors.map(\.name) == expected.keys.sorted())
    let types = [
      "float32": SafetensorsFile.StoredType.f32, "float16": .f16, "bfloat16": .bf16, "int64": .i64,
    ]
    for tensor in tensors {
      let described = try #require(expected[tensor.name])
      #expect(tensor.shape.sizes == described.shape && tensor.dtype == types[described.dtype])
      guard tensor.dtype != .i64 else { continue }
      // All are numbers of 16 bits or less, which f32 holds exactly.
      #expect(try tensor.values() == described.values.map { Float($0) }, "\(tensor.name)")
    }
    let strided = tensors.filter { !$0.isContiguous }.map(\.name)
    #expect(strided == ["images", "sliced", "strided", "transposed"])
  }

  /// Integers are read past, but are no weights.
  @Test func refusesIntegersAsWeights() throws {
    let tensors = try WeightFile.read(TorchFiles.golden("forms.pt"), name: "forms.pt")
    let count = try #require(tensors.first { $0.name == "count" })
    let error = try error { _ = try SafetensorsLayout([count], as: .f32) }
    #expect(
      error
        == .unsupported(
          "forms.pt: tensor \"count\": dtype I64 is not supported (only F32, F16, BF16)"))
  }

  @Test func takesPartsOfAnyTensor() throws {
    let tensors = try WeightFile.read(TorchFiles.golden("forms.pt"), name: "forms.pt")
    func values(_ name: String, _ part: Int, of count: Int) throws -> [Float] {
      let tensor = try #require(tensors.first { $0.name == name })
      return try tensor.part(part, of: count).values()
    }
    #expect(try values("contiguous", 1, of: 2) == (10..<20).map(Float.init))
    // The last row of 5 × 4, whose columns were rows of 1 … 20.
    #expect(try values("transposed", 4, of: 5) == [5, 10, 15, 20])
    let error = try error { _ = try values("contiguous", 0, of: 3) }
    #expect(
      error
        == .invalidData("forms.pt: tensor \"contiguous\": shape [4, 5] has no 3 equal parts"))
  }

  /// A file that the safetensors library wrote comes out again byte for byte.
  @Test(arguments: [
    ("pixart-alpha/vae/diffusion_pytorch_model", ImportOptions.Format.f32),
    ("pixart-bfloat16/transformer/diffusion_pytorch_model", .bf16),
    ("pixart-half/text_encoder/model", .f16),
  ])
  func writesWhatSafetensorsWrites(_ name: String, _ format: ImportOptions.Format) throws {
    let path = GoldenData.root.appending(path: "\(name).safetensors").path
    let layout = try SafetensorsLayout(WeightFile.read(path, name: name), as: format)
    var written: [UInt8] = []
    try layout.write { bytes in written += bytes }
    #expect(written.count == layout.byteCount)
    #expect(try Data(written) == Data(contentsOf: URL(filePath: path)))
  }

  /// Rounding to f16 against the processor's own, at every step that matters.
  @Test func roundsToHalf() {
    var values: [Float] = [
      0, -0.0, .infinity, -.infinity, 65504, 65519.996, 65520, 1e-8, 3e-8, 1e38,
    ]
    for exponent in -30...16 {
      let scale = Float(sign: .plus, exponent: exponent, significand: 1)
      for step in 0..<64 {
        let value = scale * (1 + Float(step) / 2048 + Float(step % 5) * 0x1p-23)
        values += [value, value.nextUp, value.nextDown, -value]
      }
    }
    for value in values { #expect(halfBits(value) == Float16(value).bitPattern, "\(value)") }
    #expect(Float16(bitPattern: halfBits(.nan)).isNaN)
  }
}
