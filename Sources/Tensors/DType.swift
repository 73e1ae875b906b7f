/// Element type of a tensor.
public enum DType: Sendable, Hashable {
  case f32, f16, bf16, i32, u8

  /// Size of one element in bytes.
  public var byteCount: Int {
    switch self {
    case .f32, .i32: 4
    case .f16, .bf16: 2
    case .u8: 1
    }
  }
}

/// What weights and matrix inputs are stored as. Accumulation and the residual stream are f32 in both.
public enum Precision: String, Sendable, Hashable, CaseIterable {
  case f32, bf16
}
