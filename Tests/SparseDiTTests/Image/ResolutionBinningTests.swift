import Foundation
import Testing

@testable import SparseDiT
@testable import Tensors

/// Equal to diffusers and torch; see Tests/Golden/make_resolution_golden.py.
@Suite struct ResolutionBinningTests {
  private struct Golden: Decodable {
    struct Resized: Decodable {
      let from, to: [Int]
      let values: Data
    }

    /// By sample size.
    let bins: [String: [[Int]]]
    let nearest: [String: [[Int]]]
    let resized: [Resized]
  }

  private static let golden = Result {
    let path = GoldenData.root.appending(path: "resolution.json")
    return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: path))
  }

  @Test(arguments: [(32, 33), (64, 33), (128, 33), (256, 40)])
  func binsAreThoseOfDiffusers(sampleSize: Int, count: Int) throws {
    let bins = try #require(ResolutionBinning.bins(sampleSize: sampleSize))
    #expect(bins.map { [$0.height, $0.width] } == (try Self.golden.get().bins["\(sampleSize)"]))
    #expect(bins.count == count)
  }

  @Test(arguments: [32, 64, 128, 256])
  func nearestIsThatOfDiffusers(sampleSize: Int) throws {
    let cases = try #require(try Self.golden.get().nearest["\(sampleSize)"])
    #expect(cases.count > 300)
    for sides in cases {
      let bin = ResolutionBinning.nearest(
        height: sides[0], width: sides[1], sampleSize: sampleSize)
      #expect(bin == .init(height: sides[2], width: sides[3]), "\(sides)")
    }
  }

  @Test(arguments: [1, 8, 16, 31, 96, 127, 512])
  func otherSampleSizesHaveNone(sampleSize: Int) {
    #expect(ResolutionBinning.nearest(height: 64, width: 64, sampleSize: sampleSize) == nil)
  }

  /// Positions are computed in f32 as torch does; what differs is whether sums of products are rounded
  /// once or twice, four units in the last place of values up to 1.
  @Test func resizesAsTorch() throws {
    let cases = try Self.golden.get().resized
    #expect(cases.count == 8)
    let compute = try Compute(threads: 1, precision: .f32)
    for resized in cases {
      let count = resized.from.reduce(1, *)
      let values = (0..<count).map { Float($0 * 37 % 257) / 128 - 1 }
      let result = try compute.resizedAndCropped(
        Tensor(values, Shape(resized.from)), height: resized.to[0], width: resized.to[1])
      #expect(result.shape == Shape(Array(resized.from.prefix(2)) + resized.to))
      let expected = resized.values.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
      let difference = zip(result.f32, expected).map { abs($0 - $1) }.max() ?? .infinity
      #expect(expected.count == result.shape.count && difference <= 2.4e-7, "\(resized.to)")
    }
  }

  /// Where diffusers rounds down to less than is wanted, and then cuts out a single column.
  @Test func coversTheWantedSize() throws {
    let compute = try Compute(threads: 1, precision: .f32)
    let flat = try Tensor([Float](repeating: 0.25, count: 176 * 368), [1, 1, 176, 368])
    let result = try compute.resizedAndCropped(flat, height: 6, width: 13)
    #expect(result.shape == [1, 1, 6, 13] && result.f32.allSatisfy { $0 == 0.25 })
  }

  @Test func takesPicturesOnly() throws {
    let compute = try Compute(threads: 1, precision: .f32)
    let flat = try Tensor([0, 0] as [Float], [1, 2])
    #expect(throws: SparseDiTError.self) {
      try compute.resizedAndCropped(flat, height: 6, width: 13)
    }
    let picture = try Tensor([0, 0] as [Float], [1, 1, 1, 2])
    #expect(throws: SparseDiTError.self) {
      try compute.resizedAndCropped(picture, height: 0, width: 13)
    }
  }
}
