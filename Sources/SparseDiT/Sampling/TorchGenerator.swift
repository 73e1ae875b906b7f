import Glibc

/// The normal noise that PyTorch draws: `torch.randn(…, generator: torch.Generator("cpu"))`, bit for
/// bit, as PyTorch's x86 builds compute it on CPUs with AVX2 or AVX-512.
///
/// A picture's noise decides its composition, so equal bits make a seed mean the same picture here
/// and in diffusers. (On older CPUs PyTorch itself uses other logarithms and sines and its last bits
/// differ.)
///
/// PyTorch has two ways to draw f32 normals and chooses by element count: below 16 each value comes
/// from the Box-Muller transform in double precision; from 16 on, blocks of 16 are transformed in
/// single precision, and a last block that is not full is drawn anew over the last 16 elements.
public struct TorchGenerator: Sendable {
  private var words: MersenneTwister
  /// The second normal of a double-precision pair, which the next scalar draw returns.
  private var spare: Double?

  /// - Parameter seed: as in `manual_seed`. PyTorch uses its low 32 bits only; negative seeds there
  ///   are these bits of their two's complement.
  public init(seed: UInt64) {
    words = MersenneTwister(seed: UInt32(truncatingIfNeeded: seed))
  }

  /// The next `count` values of `torch.randn`, row-major over whatever shape holds them.
  ///
  /// The draw depends on the count: two draws of n are not one of 2n.
  public mutating func randn(count: Int) -> [Float] {
    [Float](unsafeUninitializedCapacity: max(count, 0)) { values, initialized in
      fill(UnsafeMutableBufferPointer(rebasing: values[..<max(count, 0)]))
      initialized = max(count, 0)
    }
  }

  /// ``randn(count:)`` into memory of the caller.
  public mutating func fill(_ values: UnsafeMutableBufferPointer<Float>) {
    guard values.count >= BoxMuller.block else {
      for index in values.indices { values[index] = Float(scalarNormal()) }
      return
    }
    for index in values.indices { values[index] = uniform() }
    let whole = values.count / BoxMuller.block * BoxMuller.block
    for start in stride(from: 0, to: whole, by: BoxMuller.block) {
      BoxMuller.transform(values, at: start)
    }
    if whole < values.count {
      let start = values.count - BoxMuller.block
      for index in start..<values.count { values[index] = uniform() }
      BoxMuller.transform(values, at: start)
    }
  }

  /// Uniform in [0, 1) on a grid of 2⁻²⁴.
  private mutating func uniform() -> Float {
    Float(words.word() & 0xff_ffff) * 0x1p-24
  }

  /// Uniform in [0, 1) on a grid of 2⁻⁵³.
  private mutating func doubleUniform() -> Double {
    let high = UInt64(words.word())
    let low = UInt64(words.word())
    return Double((high << 32 | low) & 0x1f_ffff_ffff_ffff) * 0x1p-53
  }

  private mutating func scalarNormal() -> Double {
    if let spare {
      self.spare = nil
      return spare
    }
    let angle = 2 * Double.pi * doubleUniform()
    let radius = (-2 * log1p(-doubleUniform())).squareRoot()
    spare = radius * sin(angle)
    return radius * cos(angle)
  }
}
