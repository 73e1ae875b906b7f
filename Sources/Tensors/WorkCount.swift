/// What a ``Compute`` has multiplied since counting began: the truth that cost accounting is held
/// against. Norms, pooling, softmax and element-wise operations are not counted.
package struct WorkCount: Sendable, Hashable {
  /// Multiply-accumulates of matrix products and convolutions; zeros at a border count.
  package private(set) var multiplyAdds = 0
  /// Bytes of weights and biases that those read, once per product.
  package private(set) var weightBytes = 0

  package init() {}

  /// A product of each of `rows` rows with a weight.
  mutating func add(rows: Int, weight: Tensor, bias: Tensor?) {
    multiplyAdds += rows * weight.shape.count
    weightBytes += weight.byteCount + (bias?.byteCount ?? 0)
  }

  /// The scores of all heads, and the sums of values weighted by them.
  mutating func addAttention(batch: Int, queries: Int, keys: Int, width: Int) {
    multiplyAdds += 2 * batch * queries * keys * width
  }
}

extension Tensor {
  fileprivate var byteCount: Int { shape.count * dtype.byteCount }
}
