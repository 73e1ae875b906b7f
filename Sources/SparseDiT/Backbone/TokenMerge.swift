import Tensors

/// How a dense recovery joins tokens: merged = W1·upsample(sparse) + b + W2·dense.
struct TokenMerge: Sendable {
  /// W1 and b, the sum of the paper's two biases.
  let sparse: Linear
  /// W2; nil when it is the identity.
  let dense: Linear?

  init(_ reader: WeightReader, _ name: String, width: Int) throws(SparseDiTError) {
    let sparse = try reader.linear("\(name).merge_sparse", in: width, out: width)
    let hasBias = reader.contains("\(name).merge_dense.bias")
    let dense = try reader.linear("\(name).merge_dense", in: width, out: width, bias: hasBias)
    self.sparse = Linear(
      weight: sparse.weight, bias: try Self.sum(sparse.bias, dense.bias), isReadOften: true)
    self.dense =
      Self.isIdentity(dense.weight)
      ? nil : Linear(weight: dense.weight, bias: nil, isReadOften: true)
  }

  private static func sum(_ first: Tensor?, _ second: Tensor?) throws(SparseDiTError) -> Tensor? {
    guard let first, let second else { return first }
    return try Tensor(zip(first.floats(), second.floats()).map(+), first.shape)
  }

  private static func isIdentity(_ weight: Tensor) -> Bool {
    let width = weight.shape.columns
    return weight.floats().enumerated().allSatisfy { index, value in
      value == (index / width == index % width ? 1 : 0)
    }
  }
}
