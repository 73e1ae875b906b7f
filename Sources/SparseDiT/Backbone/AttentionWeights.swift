import Tensors

/// The projections of a multi-head attention.
struct AttentionWeights: Sendable {
  /// Nil in a Poolingformer of a checkpoint trained sparse.
  let queryAndKey: (query: Linear, key: Linear)?
  let value: Linear
  let output: Linear

  /// - Parameters:
  ///   - width: D, of the queries and of the result.
  ///   - context: channels of what keys and values are made of.
  ///   - readsText: whether keys and values are made once per picture.
  init(
    _ reader: WeightReader, _ name: String, width: Int, context: Int, bias: Bool,
    valueOnly: Bool = false, readsText: Bool = false
  ) throws(SparseDiTError) {
    queryAndKey =
      valueOnly
      ? nil
      : (
        try reader.linear(
          "\(name).to_q", in: width, out: width, bias: bias, isReadOften: true),
        try reader.linear(
          "\(name).to_k", in: context, out: width, bias: bias, isReadOften: !readsText)
      )
    // A Poolingformer's are read for one row per picture.
    value = try reader.linear(
      "\(name).to_v", in: context, out: width, bias: bias,
      isReadOften: !valueOnly && !readsText)
    output = try reader.linear(
      "\(name).to_out.0", in: width, out: width, isReadOften: !valueOnly)
  }
}

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
