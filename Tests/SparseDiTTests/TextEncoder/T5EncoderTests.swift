import Tensors
import Testing

@testable import SparseDiT

@Suite struct T5EncoderTests {
  @Test(arguments: GoldenData.pixart, ComputeMode.available)
  func equalsTransformers(_ name: String, _ mode: ComputeMode) throws {
    let golden = try GoldenData(name)
    let encoder = try T5Encoder(
      folder: ModelFolder(directory: golden.path), precision: mode.precision)
    let (ids, mask) = golden.padded(golden.text)
    let features = try encoder.encode(
      ids: ids, mask: mask, batch: golden.text.count, length: golden.maxLength,
      on: mode.compute())
    let (expected, shape) = try golden.floats("text.embedding")
    #expect(features.shape == Shape(shape))
    #expect(features.dtype == .f32)
    #expect(relativeError(features.floats(), expected) <= mode.tolerance)
  }

  @Test func shorterPaddingChangesNothing() throws {
    let golden = try GoldenData("pixart-alpha")
    let encoder = try T5Encoder(folder: ModelFolder(directory: golden.path), precision: .f32)
    let compute = try Compute(threads: 1, precision: .f32)
    let caption = try #require(golden.text.first { (2..<golden.maxLength).contains($0.ids.count) })
    let (ids, mask) = golden.padded([caption])
    let count = caption.ids.count
    let long = try encoder.encode(
      ids: ids, mask: mask, batch: 1, length: golden.maxLength, on: compute)
    let short = try encoder.encode(
      ids: caption.ids, mask: caption.ids.map { _ in 1 }, batch: 1, length: count, on: compute)
    // Hidden keys weigh exactly 0; only the order of sums may differ.
    #expect(
      relativeError(short.floats(), [Float](long.floats()[..<(count * encoder.channels)])) < 1e-6)
  }

  @Test func refusesWhatItCannotEncode() throws {
    let golden = try GoldenData("pixart-alpha")
    let encoder = try T5Encoder(folder: ModelFolder(directory: golden.path), precision: .f32)
    let compute = try Compute(threads: 1, precision: .f32)
    for id in [Int32(-1), Int32(encoder.config.vocabulary)] {
      #expect(
        throws: SparseDiTError.invalidArgument(
          "token id \(id) is outside the text encoder's vocabulary of \(encoder.config.vocabulary)")
      ) { try encoder.encode(ids: [id], mask: [1], batch: 1, length: 1, on: compute) }
    }
    #expect(throws: SparseDiTError.self) {
      try encoder.encode(ids: [1, 1], mask: [1], batch: 1, length: 2, on: compute)
    }
    #expect(throws: SparseDiTError.cancelled) {
      try encoder.encode(
        ids: [1], mask: [1], batch: 1, length: 1, on: compute,
        checkCancelled: { () throws(SparseDiTError) in throw .cancelled })
    }
  }

  /// Buckets that transformers' `_relative_position_bucket` gives (32 buckets, distance 128),
  /// at the edges where one rounding of the logarithm decides.
  @Test(arguments: [
    (0, 0), (-1, 1), (1, 17), (-7, 7), (7, 23), (8, 24), (11, 24), (12, 25), (15, 25), (16, 26),
    (22, 26), (23, 27), (31, 27), (32, 28), (45, 28), (46, 29), (63, 29), (64, 30), (90, 30),
    (91, 31), (127, 31), (128, 31), (5000, 31), (-64, 14), (-63, 13),
  ])
  func bucketsDistances(_ distance: Int, _ bucket: Int) throws {
    let position = RelativePosition(
      table: try Tensor([Float](repeating: 0, count: 64), [32, 2]), maxDistance: 128)
    #expect(position.bucket(of: distance) == bucket)
  }
}
