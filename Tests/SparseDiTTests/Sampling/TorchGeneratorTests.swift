import Testing

@testable import SparseDiT

@Suite("Noise equals torch.randn on the CPU, bit for bit")
struct TorchGeneratorTests {
  @Test("one draw: seeds across 2^64, sizes on both sides of 16")
  func draws() throws {
    for draw in try SamplingGolden.noise().draws {
      var generator = TorchGenerator(seed: try #require(UInt64(draw.seed)))
      let values = generator.randn(count: draw.size)
      if let expected = draw.values {
        #expect(hex(values) == expected, "seed \(draw.seed), size \(draw.size)")
      } else {
        #expect(sha256(values) == draw.sha256, "seed \(draw.seed), size \(draw.size)")
      }
    }
  }

  @Test("draws one after another keep the spare value of a pair")
  func sequences() throws {
    for sequence in try SamplingGolden.noise().sequences {
      var generator = TorchGenerator(seed: try #require(UInt64(sequence.seed)))
      let values = sequence.sizes.map { hex(generator.randn(count: $0)) }
      #expect(values == sequence.values, "seed \(sequence.seed)")
    }
  }

  @Test("a long draw: 2^17 values")
  func long() throws {
    let long = try SamplingGolden.noise().long
    var generator = TorchGenerator(seed: try #require(UInt64(long.seed)))
    #expect(sha256(generator.randn(count: long.size)) == long.sha256)
  }

  @Test("no values are drawn for no or a negative count")
  func empty() {
    var generator = TorchGenerator(seed: 7)
    #expect(generator.randn(count: 0).isEmpty)
    #expect(generator.randn(count: -3).isEmpty)
    var fresh = TorchGenerator(seed: 7)
    #expect(generator.randn(count: 3) == fresh.randn(count: 3))
  }
}
