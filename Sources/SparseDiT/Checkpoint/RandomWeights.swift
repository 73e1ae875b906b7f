import Tensors

/// Weights of any shape, drawn evenly from −s … s, that keep the scale of what goes through them.
/// They serve for measuring and testing only.
struct RandomWeights {
  private var state: UInt64 = 1

  /// - Throws: `outOfMemory`.
  mutating func tensor(_ shape: Shape) throws(SparseDiTError) -> Tensor {
    let tensor = Tensor(
      storage: try Storage(allocating: shape.count * DType.f32.byteCount), shape: shape,
      dtype: .f32)
    // Variance 1/inputs for a matrix, s²/3 of an even distribution.
    let inputs = shape.rank > 1 ? shape.sizes.dropFirst().reduce(1, *) : 300
    let scale = (3 / Float(max(inputs, 1))).squareRoot() / Float(1 << 31)
    for index in 0..<shape.count {
      // Knuth's multiplier; the high half of the state is the more random one.
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      tensor.f32[index] = Float(Int32(truncatingIfNeeded: state >> 32)) * scale
    }
    return tensor
  }
}

extension Backbone {
  /// A backbone of these sizes with random weights, every block's embedding the same.
  ///
  /// - Throws: `outOfMemory`.
  package init(randomFor config: BackboneConfig, precision: Precision) throws(SparseDiTError) {
    try self.init(config: config, reader: WeightReader(randomFor: "transformer", precision))
  }
}
