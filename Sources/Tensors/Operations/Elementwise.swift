import CKernels

extension Compute {
  /// a + b, element by element; f32.
  package func add(_ a: Tensor, _ b: Tensor) throws(SparseDiTError) -> Tensor {
    let result = try empty(a.shape, .f32)
    try map(ck_add, a, b, into: result)
    return result
  }

  /// target += x, in place; `target` may be a column view.
  package func add(_ x: Tensor, to target: Tensor) throws(SparseDiTError) {
    try map(ck_add, target, x, into: target)
  }

  /// target *= x, in place; `target` may be a column view.
  package func multiply(_ target: Tensor, by x: Tensor) throws(SparseDiTError) {
    try map(ck_multiply, target, x, into: target)
  }

  /// x·factor; f32.
  package func scaled(_ x: Tensor, by factor: Float) throws(SparseDiTError) -> Tensor {
    let result = try empty(x.shape, .f32)
    try map(ck_scale, x, into: result, factor: factor)
    return result
  }

  /// x/(1 + e⁻ˣ); f32 unless told.
  package func silu(_ x: Tensor, output: DType = .f32) throws(SparseDiTError) -> Tensor {
    let result = try empty(x.shape, output)
    try map(ck_silu, x, into: result)
    return result
  }

  /// A contiguous copy, of another type if wished. bf16 is rounded to the nearest, ties to even.
  package func cast(_ x: Tensor, to dtype: DType) throws(SparseDiTError) -> Tensor {
    let result = try empty(x.shape, dtype)
    try map(ck_copy, x, into: result)
    return result
  }

  /// Joins tensors of one type and width along the first axis.
  package func concatenate(_ tensors: [Tensor]) throws(SparseDiTError) -> Tensor {
    guard let first = tensors.first else { throw .internalFailure("concatenate: nothing to join") }
    for tensor in tensors {
      let fits = tensor.shape.sizes.dropFirst() == first.shape.sizes.dropFirst()
      try require(fits && tensor.dtype == first.dtype, "concatenate", first, tensor)
    }
    let sizes = [tensors.reduce(0) { $0 + $1.shape[0] }] + first.shape.sizes.dropFirst()
    let result = try empty(Shape(sizes), first.dtype)
    var start = 0
    for tensor in tensors {
      try map(ck_copy, tensor, into: result.rows(start..<start + tensor.shape[0]))
      start += tensor.shape[0]
    }
    return result
  }

  /// out = operation(x, y); out may be x or y.
  private func map(
    _ operation: ck_operation, _ x: Tensor, _ y: Tensor? = nil, into out: Tensor,
    factor: Float = 1
  ) throws(SparseDiTError) {
    let fits =
      x.shape.count == out.shape.count && x.shape.columns == out.shape.columns
      && (y.map { $0.shape.count == x.shape.count && $0.shape.columns == x.shape.columns } ?? true)
    try require(
      fits && x.isFloat && out.isFloat && (y?.isFloat ?? true), "elementwise operation", x, y, out)
    let wide = Self.asFewRows([x, out] + (y.map { [$0] } ?? []))
    var arguments = ck_map_arguments(
      operation: operation, x: wide[0].kernelRows, y: wide.last.map(\.kernelRows) ?? ck_rows(),
      out: wide[1].kernelRows, rows: out.shape.rows, columns: out.shape.columns, factor: factor)
    arguments.rows = wide[0].shape.rows
    arguments.columns = wide[0].shape.columns
    ck_map(team, &arguments)
    withExtendedLifetime((x, y, out)) {}
  }

  /// Contiguous tensors of equal count as rows of 1024 (and, if that does not come out, of their
  /// own width): short rows would waste most of a vector.
  private static func asFewRows(_ tensors: [Tensor]) -> [Tensor] {
    let width = 1024
    guard tensors.allSatisfy({ $0.isContiguous && $0.shape.count % width == 0 }) else {
      return tensors
    }
    return tensors.map { $0.reshaped([$0.shape.count / width, width]) }
  }

  /// x += gate·row, in place.
  ///
  /// - Parameters:
  ///   - x: f32 `[B, N, C]`.
  ///   - row: f32 `[B, 1, C]` or `[1, 1, C]` (one row for all tokens of an image), or `[N, C]` (a
  ///     table of positions).
  ///   - gate: f32 `[G, C]`, G = 1 or B.
  package func broadcastAdd(
    _ x: Tensor, _ row: Tensor, gate: Tensor? = nil
  ) throws(SparseDiTError) {
    try require(x.shape.rank == 3 && x.dtype == .f32, "broadcastAdd", x)
    let (batch, tokens, columns) = (x.shape[0], x.shape[1], x.shape[2])
    let isTable = row.shape.rank == 2
    let fits =
      isTable
      ? row.dtype == .f32 && row.shape == [tokens, columns]
      : row.shape.rank == 3 && row.shape[1] == 1 && row.isGroupRows(batch, columns)
    try require(fits && (gate?.isGroupRows(batch, columns) ?? true), "broadcastAdd", x, row, gate)
    guard x.shape.count > 0 else { return }
    var arguments = ck_broadcast_add_arguments(
      x: x.kernelRows, rows: batch * tokens, columns: columns, row: row.floatPointer,
      gate: gate?.floatPointer, row_stride: row.rowStride, row_divisor: isTable ? 1 : tokens,
      row_count: row.shape.rows, gate_stride: gate?.groupStride ?? 0, rows_per_group: tokens)
    ck_broadcast_add(team, &arguments)
    withExtendedLifetime((x, row, gate)) {}
  }

  /// Rows of `table` `[entries, C]` by i32 `ids` of any shape: f32 `[…ids, C]`.
  ///
  /// - Throws: `internalFailure` for an id outside the table.
  package func gatherRows(_ table: Tensor, _ ids: Tensor) throws(SparseDiTError) -> Tensor {
    try require(
      table.shape.rank == 2 && table.isFloat && ids.dtype == .i32 && ids.isContiguous,
      "gatherRows", table, ids)
    let entries = UnsafeBufferPointer(
      start: UnsafePointer(ids.pointer.assumingMemoryBound(to: Int32.self)), count: ids.shape.count)
    if let id = entries.first(where: { $0 < 0 || Int($0) >= table.shape[0] }) {
      throw .internalFailure("gatherRows: id \(id) is outside a table of \(table.shape[0]) rows")
    }
    let result = try empty(Shape(ids.shape.sizes + [table.shape.columns]), .f32)
    var arguments = ck_gather_arguments(
      table: table.kernelRows, out: result.kernelRows, ids: entries.baseAddress,
      rows: entries.count, columns: table.shape.columns)
    ck_gather(team, &arguments)
    withExtendedLifetime((table, ids, result)) {}
    return result
  }

  /// Whether every element is a finite number.
  package func isFinite(_ x: Tensor) -> Bool {
    guard x.isFloat else { return true }
    defer { withExtendedLifetime(x) {} }
    return ck_all_finite(team, x.kernelRows, x.shape.rows, x.shape.columns)
  }
}
