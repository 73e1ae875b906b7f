import CKernels
import Testing

@testable import Tensors

/// A way to compute: instruction set of our kernels, precision, threads.
struct Setting: Sendable, CustomTestStringConvertible {
  let level: ck_level
  let precision: Precision
  let nativeBF16: Bool
  let threads: Int

  var testDescription: String {
    "level \(level.rawValue), \(precision.rawValue), native bf16 \(nativeBF16), \(threads) threads"
  }

  /// Every level of our kernels that the CPU level in use has, in f32; the best one also in both forms
  /// of bf16 (oneDNN emulates bf16 products on AVX-512, and says so with an error elsewhere).
  static let all: [Setting] = {
    let levels = [ck_baseline, ck_avx2, ck_avx512].filter { $0.rawValue <= best.rawValue }
    return levels.map {
      Setting(level: $0, precision: .f32, nativeBF16: false, threads: 2)
    }
      + [false, true].filter { !$0 || best == ck_avx512 }.map {
        Setting(level: best, precision: .bf16, nativeBF16: $0, threads: 2)
      }
  }()
  /// What the library chooses by itself, in both precisions.
  static let usual = Precision.allCases.map {
    Setting(level: best, precision: $0, nativeBF16: CPULevel.inUse.hasBF16, threads: 2)
  }
  static let best = CPULevel.inUse.kernels

  func compute() throws -> Compute {
    try Compute(
      threads: threads, precision: precision, nativeBF16: nativeBF16, level: level)
  }

  /// What results may be off by, relative to the whole tensor's norm: f32 sums of up to a few
  /// hundred products, or one rounding to bf16 (2⁻⁹) and what the softmax makes of it.
  var tolerance: Double { precision == .bf16 && nativeBF16 ? 6e-3 : 2e-6 }
}

/// Reproducible numbers between −1 and 1.
struct Numbers {
  private var state: UInt64
  init(_ seed: UInt64 = 1) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

  mutating func next() -> Float {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(Int32(truncatingIfNeeded: state >> 32)) / 2_147_483_648
  }

  mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in next() } }

  mutating func tensor(
    _ shape: Shape, _ dtype: DType = .f32, on compute: Compute
  ) throws -> Tensor {
    try compute.converted(try Tensor(floats(shape.count), shape), to: dtype)
  }

  /// A view of the middle columns of something wider.
  mutating func view(
    _ shape: Shape, _ dtype: DType = .f32, on compute: Compute
  ) throws -> Tensor {
    let columns = shape.columns
    let wide = try tensor(Shape(shape.sizes.dropLast() + [columns * 2 + 5]), dtype, on: compute)
    return wide.columns(3..<3 + columns)
  }
}

extension Tensor {
  var doubles: [Double] { floats().map(Double.init) }
}

extension Compute {
  var weightDType: DType { precision == .bf16 ? .bf16 : .f32 }
}

/// ‖actual − expected‖ / ‖expected‖; infinite when the counts differ.
func relativeError(_ actual: Tensor, _ expected: [Double]) -> Double {
  let values = actual.doubles
  guard values.count == expected.count, !expected.isEmpty else { return .infinity }
  let norm = expected.reduce(0) { $0 + $1 * $1 }
  let difference = zip(values, expected).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  return norm == 0 ? difference.squareRoot() : (difference / norm).squareRoot()
}
