import Synchronization

/// A fully connected layer: y = x·Wᵀ + b.
public struct Linear: Sendable {
  /// `[out, in]`, f32 or bf16; rows contiguous.
  public let weight: Tensor
  /// f32 `[out]`.
  public let bias: Tensor?
  /// Nil where the weight is always read as it lies.
  let packing: PackedWeight?

  /// - Parameter isReadOften: whether it is worth keeping the weight a second time, in the order in which
  ///   products read it fastest, where the CPU gains by it. Made when the layer is first used.
  public init(weight: Tensor, bias: Tensor?, isReadOften: Bool = false) {
    self.weight = weight
    self.bias = bias
    packing = isReadOften ? PackedWeight() : nil
  }

  public var inputs: Int { weight.shape[1] }
  public var outputs: Int { weight.shape[0] }
}

/// A weight in the order in which products read it fastest, once it has been made.
final class PackedWeight: Sendable {
  private let made = Mutex<Storage?>(nil)

  /// What `make` gave the first time that it gave anything.
  func storage(
    _ make: () throws(SparseDiTError) -> Storage?
  ) throws(SparseDiTError) -> Storage? {
    try made.withLock { (made) throws(SparseDiTError) in
      if made == nil { made = try make() }
      return made
    }
  }
}

/// A 2-D convolution over channels-last images.
public struct Convolution: Sendable {
  /// `[out, in, height, width]`, f32 or bf16, contiguous.
  public let weight: Tensor
  /// f32 `[out]`.
  public let bias: Tensor?
  public let stride: Int
  /// Zeros added on every side.
  public let padding: Int

  public init(weight: Tensor, bias: Tensor?, stride: Int = 1, padding: Int = 0) {
    self.weight = weight
    self.bias = bias
    self.stride = stride
    self.padding = padding
  }
}

/// What follows a linear layer element by element.
public enum Activation: Sendable, Hashable {
  case none
  /// x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))).
  case gelu
  /// x/2·(1 + erf(x/√2)).
  case geluErf
  /// x/(1 + e⁻ˣ).
  case silu
}

/// What is added to attention scores before the softmax.
public enum AttentionBias: Sendable {
  /// f32 `[B, keys]`, the same for all heads and queries: a text mask (0, or very negative). B may be 1.
  case perKey(Tensor)
  /// f32 `[heads, queries, keys]` (T5's relative positions), and a mask as in ``perKey(_:)``.
  case perHead(Tensor, mask: Tensor?)
}
