import Tensors

/// Weights with their names, kept by a loaded component so that a NaN in its output can be traced.
package struct NamedWeights: Sendable {
  struct Item: Sendable {
    /// File and tensor name.
    let name: String
    let tensor: Tensor
  }

  let items: [Item]

  /// File and name of the first weight, in the order of loading, that holds NaN or infinity.
  ///
  /// Reads every weight, so it is for the moment when an output has turned out not to be finite.
  package func firstNonFinite() -> String? {
    items.first { !$0.tensor.isFinite }?.name
  }
}

extension NamedWeights {
  /// Number of elements.
  var parameters: Int { items.reduce(0) { $0 + $1.tensor.shape.count } }

  /// - Throws: `invalidData` when `output` is not finite, naming the first weight that is not, or
  ///   else the stage.
  func checkFinite(
    _ output: Tensor, _ stage: String, on compute: Compute
  ) throws(SparseDiTError) {
    guard !compute.isFinite(output) else { return }
    if let weight = firstNonFinite() {
      throw .invalidData("\(weight) has NaN or infinite values")
    }
    throw .invalidData(
      "the \(stage) gave NaN or infinite values: its weights are finite, but sums of them overflow")
  }
}
