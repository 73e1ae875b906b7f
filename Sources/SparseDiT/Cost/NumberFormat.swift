import Tensors

/// How many bytes the numbers of a model take, and with that what the operations cost that all parts
/// of a model are made of. Sizes are `Double` for the reason given at ``Cost``.
package struct NumberFormat: Sendable, Hashable {
  /// What weights of products are stored as; their biases are f32.
  package let weights: DType
  /// What products read besides weights. The residual stream is f32.
  package let activations: DType

  package init(weights: DType, activations: DType) {
    self.weights = weights
    self.activations = activations
  }

  /// That of a ``Compute`` with this precision and these activations.
  package init(_ precision: Precision, activations: DType) {
    self.init(weights: precision == .bf16 ? .bf16 : .f32, activations: activations)
  }

  /// That of a ``Pipeline`` on this machine.
  ///
  /// - Parameter precision: as in ``PipelineOptions``.
  package init(onThisMachine precision: Precision?) {
    let precision = precision ?? Machine.precision
    self.init(
      precision, activations: precision == .bf16 && Machine.multipliesBF16 ? .bf16 : .f32)
  }

  /// x·W of `rows` rows. What each thread works in comes on top, ``Compute/bytesPerThread``.
  ///
  /// - Parameter products: how many products the rows are split into, each of which reads W.
  func linear(
    rows: Double, _ inputs: Double, _ outputs: Double, bias: Bool = true, products: Double = 1
  ) -> Cost {
    let weights = inputs * outputs
    let bytes = weights * Double(self.weights.byteCount) + (bias ? floatBytes(outputs) : 0)
    return Cost(multiplyAdds: rows * weights, weightBytes: products * bytes)
  }

  /// Q·Kᵀ and P·V of all heads together.
  func attention(queries: Double, keys: Double, width: Double) -> Cost {
    Cost(multiplyAdds: 2 * queries * keys * width)
  }

  /// A convolution that keeps the size. Its weights are held once more, in the order that it wants.
  func convolution(
    places: Double, _ inputs: Double, _ outputs: Double, kernel: Double = 3
  ) -> Cost {
    var cost = linear(rows: places, kernel * kernel * inputs, outputs)
    let weights = kernel * kernel * inputs * outputs
    cost.activationBytes = activationBytes(weights) + (expandsWeights ? floatBytes(weights) : 0)
    return cost
  }

  /// Bytes of that many activations.
  func activationBytes(_ count: Double) -> Double { count * Double(activations.byteCount) }
  /// Bytes of that many f32 numbers.
  func floatBytes(_ count: Double) -> Double { count * Double(DType.f32.byteCount) }

  /// Whether bf16 weights are multiplied as such.
  var multipliesBF16: Bool { weights == .bf16 && activations == .bf16 }
  /// Whether the weights of a convolution are expanded to f32 while it runs.
  private var expandsWeights: Bool { weights == .bf16 && activations == .f32 }
}
