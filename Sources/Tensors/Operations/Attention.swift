import COneDNN

extension Compute {
  /// softmax(scale·Q·Kᵀ + bias)·V for each head; heads are equal parts of the last axis.
  ///
  /// - Parameters:
  ///   - query: `[B, queries, D]`, may be a column view of a fused projection.
  ///   - key, value: `[B or 1, keys, D]`, likewise.
  ///   - checkCancelled: called now and then, since over many keys this may take seconds.
  /// - Returns: ``activationDType`` `[B, queries, D]`.
  package func attention(
    query: Tensor, key: Tensor, value: Tensor, heads: Int, scale: Float,
    bias: AttentionBias? = nil,
    checkCancelled: () throws(SparseDiTError) -> Void = {}
  ) throws(SparseDiTError) -> Tensor {
    try checkAttention(query, key, value, heads: heads)
    let (batch, queries, width) = (query.shape[0], query.shape[1], query.shape[2])
    let keys = key.shape[1]
    workCount?.addAttention(batch: batch, queries: queries, keys: keys, width: width)
    let parts = try biasParts(bias, batch: batch, heads: heads, queries: queries, keys: keys)
    let type = activationDType
    let (query, key, value) = (
      try converted(query, to: type), try converted(key, to: type), try converted(value, to: type)
    )
    let result = try empty(query.shape, type)

    var shape = attentionShape(query, key, value, heads: heads, into: result)
    let (primitive, scratchBytes) = try prepare(&shape)
    let scratch = try workspace.storage(scratchBytes)
    var operands = dn_attention_operands()
    operands.query = UnsafeRawPointer(query.pointer)
    operands.key = UnsafeRawPointer(key.pointer)
    operands.value = UnsafeRawPointer(value.pointer)
    operands.key_batch = key.shape[0] == 1 ? 0 : Int64(keys * key.rowStride)
    operands.value_batch = value.shape[0] == 1 ? 0 : Int64(keys * value.rowStride)
    operands.scale = scale
    operands.bias = parts.perHead?.floatPointer
    operands.mask = parts.mask?.floatPointer
    operands.mask_batch = Int64(parts.mask?.groupStride ?? 0)
    operands.out = result.pointer
    operands.scratch = scratch.base
    let pieces = Int(dn_attention_pieces(primitive))
    let operations = 4 * Double(batch * queries) * Double(keys * width) / Double(max(pieces, 1))
    let worthwhile = Self.operationsPerThread / max(operations, 1)
    let piecesAtOnce =
      threads * max(Int(min(worthwhile, Double(Self.piecesPerThread))), 1)
    for first in stride(from: 0, to: pieces, by: piecesAtOnce) {
      try checkCancelled()
      operands.first_piece = Int64(first)
      operands.pieces = Int64(min(piecesAtOnce, pieces - first))
      try oneDNN.check(dn_attention_run(oneDNN.engine, primitive, &operands))
    }
    // The tensors are only known by address down there.
    withExtendedLifetime((query, key, value, result)) {}
    withExtendedLifetime((parts, scratch)) {}
    return result
  }

  /// What oneDNN has to know of an attention.
  func attentionShape(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, heads: Int, into result: Tensor
  ) -> dn_attention_shape {
    var shape = dn_attention_shape()
    shape.batch = Int64(query.shape[0])
    shape.heads = Int64(heads)
    shape.queries = Int64(query.shape[1])
    shape.keys = Int64(key.shape[1])
    shape.width = Int64(query.shape[2] / heads)
    shape.query_stride = Int64(query.rowStride)
    shape.key_stride = Int64(key.rowStride)
    shape.value_stride = Int64(value.rowStride)
    shape.out_stride = Int64(result.rowStride)
    shape.type = query.dtype.kernelType
    return shape
  }

  func prepare(
    _ shape: inout dn_attention_shape
  ) throws(SparseDiTError) -> (primitive: OpaquePointer?, scratchBytes: Int) {
    var primitive: OpaquePointer?
    var scratchBytes = 0
    try oneDNN.check(dn_attention_prepare(oneDNN.engine, &shape, &primitive, &scratchBytes))
    return (primitive, scratchBytes)
  }

  /// What each thread computes between two looks at whether to go on: some tenths of a second without
  /// fast instructions, and no more pieces than are enough for waiting for each other not to count.
  private static let operationsPerThread = 4e10
  private static let piecesPerThread = 32

  private func checkAttention(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, heads: Int
  ) throws(SparseDiTError) {
    let (q, k, v) = (query.shape, key.shape, value.shape)
    let fits =
      q.rank == 3 && k.rank == 3 && v.sizes == k.sizes && q[2] == k[2] && heads > 0
      && q[2] % heads == 0 && (k[0] == 1 || k[0] == q[0]) && q.count > 0 && k.count > 0
      && query.isFloat && key.isFloat && value.isFloat
    try require(fits, "attention", query, key, value)
  }

  func biasParts(
    _ bias: AttentionBias?, batch: Int, heads: Int, queries: Int, keys: Int
  ) throws(SparseDiTError) -> (perHead: Tensor?, mask: Tensor?) {
    let perHead: Tensor?
    let mask: Tensor?
    switch bias {
    case nil: return (nil, nil)
    case .perKey(let given): (perHead, mask) = (nil, given)
    case .perHead(let given, let with): (perHead, mask) = (given, with)
    }
    if let perHead {
      try require(
        perHead.shape == [heads, queries, keys] && perHead.dtype == .f32 && perHead.isContiguous,
        "attention bias", perHead)
    }
    try require(mask?.isGroupRows(batch, keys) ?? true, "attention mask", mask)
    return (perHead, mask)
  }
}
