import Tensors

/// What a piece of work takes.
///
/// The numbers are whole, but kept as `Double`: a configuration may describe a model that no `Int`
/// holds the work of.
package struct Cost: Sendable, Hashable {
  /// Multiply-accumulates of matrix products and convolutions. Norms, pooling, softmax and
  /// element-wise operations are not counted.
  package var multiplyAdds = 0.0
  /// Bytes of weights and biases that those read, once per product. Tables (of modulation,
  /// positions, words) are not counted.
  package var weightBytes = 0.0
  /// Most bytes of activations that are held at one time. The block that each thread works on comes
  /// on top, at most ``Compute/bytesPerThread``.
  package var activationBytes = 0.0

  package static let zero = Cost()

  /// One after the other: work adds up, memory is used again.
  package static func + (first: Cost, second: Cost) -> Cost {
    Cost(
      multiplyAdds: first.multiplyAdds + second.multiplyAdds,
      weightBytes: first.weightBytes + second.weightBytes,
      activationBytes: max(first.activationBytes, second.activationBytes))
  }

  /// The same work, that many times.
  package static func * (times: Int, cost: Cost) -> Cost {
    Cost(
      multiplyAdds: Double(times) * cost.multiplyAdds,
      weightBytes: Double(times) * cost.weightBytes, activationBytes: cost.activationBytes)
  }
}

extension Sequence<Cost> {
  /// All of it, one after the other.
  package var total: Cost { reduce(.zero, +) }
}
