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
