import Tensors

/// One way to compute that models must be right in, with the error that golden values allow it.
enum ComputeMode: String, CaseIterable, Sendable {
  case f32
  /// bf16 weights expanded to f32 before each product, as on CPUs without bf16 arithmetic.
  case bf16Expanded
  /// bf16 products, emulated by oneDNN on AVX-512 without them.
  case bf16Native

  /// Those that the CPU level in use has.
  static let available = allCases.filter { $0 != .bf16Native || CPULevel.inUse.multipliesBF16 }

  var precision: Precision { self == .f32 ? .f32 : .bf16 }

  /// Relative L2 error against f32 golden values: rounding in another order for f32 (ε = 6e-8, over
  /// a few dozen layers), 8-bit mantissas of weights and matrix inputs for bf16.
  var tolerance: Double { self == .f32 ? 2e-5 : 2e-2 }

  func compute() throws -> Compute {
    try Compute(threads: 2, precision: precision, nativeBF16: self == .bf16Native)
  }
}
