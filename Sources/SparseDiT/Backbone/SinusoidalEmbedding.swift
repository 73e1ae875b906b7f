import Glibc
import Tensors

/// A number as a vector: 128 cosines and 128 sines of it, then two linear layers with SiLU between.
struct SinusoidalEmbedding: Sendable {
  let first: Linear
  let second: Linear
  /// The frequencies are 10000^(−i/(128 − shift)).
  let frequencyShift: Int
  private static let waves = 128

  init(
    _ reader: WeightReader, _ name: String, _ width: Int, frequencyShift: Int = 0
  ) throws(SparseDiTError) {
    first = try reader.linear("\(name).linear_1", in: 2 * Self.waves, out: width)
    second = try reader.linear("\(name).linear_2", in: width, out: width)
    self.frequencyShift = frequencyShift
  }

  /// n numbers → f32 `[n, width]`.
  func forward(_ numbers: [Float], on compute: Compute) throws(SparseDiTError) -> Tensor {
    let features = try Tensor(numbers.flatMap(features), [numbers.count, 2 * Self.waves])
    let hidden = try compute.linear(features, first, activation: .silu)
    return try compute.linear(hidden, second, output: .f32)
  }

  /// Cosines, then sines of number·frequency; f32 in this order, as diffusers does: angles reach 999,
  /// so one rounding more would show.
  private func features(_ number: Float) -> [Float] {
    let angles = (0..<Self.waves).map { index in
      number * expf(Float(-log(10_000.0)) * Float(index) / Float(Self.waves - frequencyShift))
    }
    return angles.map(cosf) + angles.map(sinf)
  }
}
