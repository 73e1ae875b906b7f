import Testing

@testable import SparseDiT

/// The formula of classifier-free guidance, value by value.
@Suite struct GuidanceTests {
  @Test func movesAwayFromTheUnconditionalPrediction() {
    let guidance = Guidance(scale: 2.5)
    #expect(guidance.isOn && guidance.batch == 2)
    #expect(guidance.conditions(unconditional: "none", conditional: "cat") == ["none", "cat"])
    // Two pictures of four values, of which the first two are guided and three are wanted.
    let output: [Float] = [1, -2, 3, 4, 2, 6, 7, 8]
    // 1 + 2.5·(2 − 1), −2 + 2.5·(6 + 2), and the conditional one as it is: all exact in f32.
    #expect(combined(guidance, output, guided: 2, count: 3) == [3.5, 18, 7])
    #expect(combined(guidance, output, guided: 0, count: 4) == [2, 6, 7, 8])
  }

  @Test(arguments: [1, 0.5, 0, -3])
  func isOffUpToOne(_ scale: Double) {
    let guidance = Guidance(scale: scale)
    #expect(!guidance.isOn && guidance.batch == 1)
    #expect(guidance.conditions(unconditional: 0, conditional: 7) == [7])
    #expect(combined(guidance, [1, 2, 3], guided: 3, count: 2) == [1, 2])
  }

  private func combined(
    _ guidance: Guidance, _ output: [Float], guided: Int, count: Int
  ) -> [Float] {
    var prediction = [Float](repeating: .nan, count: count)
    output.withUnsafeBufferPointer { output in
      prediction.withUnsafeMutableBufferPointer {
        guidance.combine(output, guided: guided, into: $0)
      }
    }
    return prediction
  }
}
