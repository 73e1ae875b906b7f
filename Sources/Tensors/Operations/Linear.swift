import CKernels
import COneDNN

extension Linear {
  /// Bytes that the weight of a layer that is read often takes a second time, where bf16 weights are
  /// multiplied as such; 0 for sizes that are read as they lie.
  package static func packedBytes(inputs: Double, outputs: Double) -> Double {
    let isWhole =
      inputs.truncatingRemainder(dividingBy: Double(ck_packed_inputs)) == 0
      && outputs.truncatingRemainder(dividingBy: Double(ck_packed_columns)) == 0
    return isWhole ? inputs * outputs * Double(DType.bf16.byteCount) : 0
  }
}

extension Compute {
  /// activation(x·Wᵀ + b), times `factor` element by element when given (T5's gated MLP).
  ///
  /// - Parameters:
  ///   - x: `[…, in]`, f32 or bf16; may be a column view.
  ///   - factor: `[…, out]`.
  ///   - output: type of the result; nil for ``activationDType``.
  package func linear(
    _ x: Tensor, _ layer: Linear, activation: Activation = .none,
    multipliedBy factor: Tensor? = nil, output: DType? = nil
  ) throws(SparseDiTError) -> Tensor {
    let result = try empty(
      Shape(x.shape.sizes.dropLast() + [layer.outputs]), output ?? activationDType)
    if let factor {
      let fits = factor.shape.count == result.shape.count && factor.shape.columns == layer.outputs
      try require(fits && factor.isFloat && factor.dtype != .f16, "linear", x, layer.weight, factor)
    }
    try product(x, layer, into: result, activation: activation, factor: factor)
    return result
  }

  /// residual += gate·(x·Wᵀ + b), in place.
  ///
  /// - Parameters:
  ///   - residual: f32 `[B, N, out]` (or `[rows, out]`).
  ///   - gate: f32 `[G, out]`, G = 1 or the first axis of `residual`.
  package func linear(
    _ x: Tensor, _ layer: Linear, addingTo residual: Tensor, gate: Tensor? = nil
  ) throws(SparseDiTError) {
    let rows = x.shape.rows
    try require(
      residual.dtype == .f32 && residual.shape.rows == rows
        && residual.shape.columns == layer.outputs,
      "linear", x, layer.weight, residual)
    guard let gate, gate.shape.rows > 1 else {
      try require(gate?.isGroupRows(1, layer.outputs) ?? true, "linear", residual, gate)
      return try product(x, layer, into: residual, gate: gate, accumulate: true)
    }
    let groups = residual.shape[0]
    try require(gate.isGroupRows(groups, layer.outputs), "linear", residual, gate)
    let (x, residual) = (x.grouped(groups), residual.grouped(groups))
    for group in 0..<groups {
      try product(
        x.rows(group..<group + 1), layer, into: residual.rows(group..<group + 1),
        gate: gate.rows(group..<group + 1), accumulate: true)
    }
  }

  private func product(
    _ x: Tensor, _ layer: Linear, into result: Tensor, activation: Activation = .none,
    gate: Tensor? = nil, factor: Tensor? = nil, accumulate: Bool = false
  ) throws(SparseDiTError) {
    let fits =
      x.shape.columns == layer.inputs && (layer.bias?.isGroupRows(1, layer.outputs) ?? true)
    try require(
      fits && x.isFloat && layer.weight.isFloat && layer.weight.shape.rank == 2,
      "linear", x, layer.weight, layer.bias)
    guard x.shape.count > 0, layer.outputs > 0 else { return }
    workCount?.add(rows: x.shape.rows, weight: layer.weight, bias: layer.bias)
    let x = try converted(x, to: productType(of: layer.weight))
    // bf16 weights of an f32 product are expanded block by block, where it reads them.
    let weight =
      layer.weight.dtype == .bf16 ? layer.weight : try converted(layer.weight, to: x.dtype)

    var shape = linearShape(
      x, weight, hasBias: layer.bias != nil, into: result, activation: activation,
      isGated: gate != nil, factor: factor, accumulate: accumulate)
    let packed = try packed(layer, of: x)
    shape.packed = packed != nil
    let (primitive, scratchBytes) = try prepare(&shape)
    let scratch = try workspace.storage(scratchBytes)
    var operands = dn_linear_operands()
    operands.a = UnsafeRawPointer(x.pointer)
    operands.b = UnsafeRawPointer(packed?.base ?? weight.pointer)
    operands.bias = layer.bias?.floatPointer
    operands.gate = gate?.floatPointer
    operands.factor = factor.map { UnsafeRawPointer($0.pointer) }
    operands.c = result.pointer
    operands.scratch = scratch.base
    try oneDNN.check(dn_linear_run(oneDNN.engine, primitive, &operands))
    // The tensors are only known by address down there.
    withExtendedLifetime((x, weight, scratch, layer, result)) {}
    withExtendedLifetime((gate, factor, packed)) {}
  }

  /// The layer's weight in the order in which a product with x reads it fastest, made when it is first
  /// asked for; nil where the weight is read as it lies.
  private func packed(_ layer: Linear, of x: Tensor) throws(SparseDiTError) -> Storage? {
    guard let packing = layer.packing, x.dtype == .bf16 else { return nil }
    return try packing.storage { () throws(SparseDiTError) in
      var shape = packShape(of: layer.weight)
      let bytes = try packedBytes(&shape)
      guard bytes > 0 else { return nil }
      let storage = try workspace.lastingStorage(bytes)
      try oneDNN.check(dn_pack_run(oneDNN.engine, &shape, layer.weight.pointer, storage.base))
      return storage
    }
  }

  func packShape(of weight: Tensor) -> dn_pack_shape {
    var shape = dn_pack_shape()
    shape.inputs = Int64(weight.shape[1])
    shape.outputs = Int64(weight.shape[0])
    shape.stride = Int64(weight.rowStride)
    shape.type = weight.dtype.kernelType
    return shape
  }

  /// 0 where products gain nothing by it.
  func packedBytes(_ shape: inout dn_pack_shape) throws(SparseDiTError) -> Int {
    var bytes = 0
    try oneDNN.check(dn_pack_bytes(oneDNN.engine, &shape, &bytes))
    return bytes
  }

  /// What oneDNN has to know of a product.
  func linearShape(
    _ x: Tensor, _ weight: Tensor, hasBias: Bool, into result: Tensor, activation: Activation,
    isGated: Bool, factor: Tensor?, accumulate: Bool
  ) -> dn_linear_shape {
    var shape = dn_linear_shape()
    shape.rows = Int64(x.shape.rows)
    shape.inputs = Int64(x.shape.columns)
    shape.outputs = Int64(weight.shape[0])
    shape.a_stride = Int64(x.rowStride)
    shape.b_stride = Int64(weight.rowStride)
    shape.c_stride = Int64(result.rowStride)
    shape.factor_stride = Int64(factor?.rowStride ?? 0)
    shape.input_type = x.dtype.kernelType
    shape.weight_type = weight.dtype.kernelType
    shape.output_type = result.dtype.kernelType
    shape.factor_type = factor?.dtype.kernelType ?? ck_f32
    shape.activation = activation.oneDNN
    shape.bias = hasBias
    shape.gate = isGated
    shape.factor = factor != nil
    shape.residual = accumulate
    return shape
  }

  func prepare(
    _ shape: inout dn_linear_shape
  ) throws(SparseDiTError) -> (primitive: OpaquePointer?, scratchBytes: Int) {
    var primitive: OpaquePointer?
    var scratchBytes = 0
    try oneDNN.check(dn_linear_prepare(oneDNN.engine, &shape, &primitive, &scratchBytes))
    return (primitive, scratchBytes)
  }

  /// What the operands of a product with `weight` have to be.
  func productType(of weight: Tensor) -> DType {
    weight.dtype == .bf16 ? activationDType : .f32
  }

  /// `x` itself when it is of that type, else a converted copy.
  func converted(_ x: Tensor, to dtype: DType) throws(SparseDiTError) -> Tensor {
    x.dtype == dtype ? x : try cast(x, to: dtype)
  }
}

extension Tensor {
  /// The same rows as `[groups, rows, columns]`; the row count is a multiple of `groups`.
  func grouped(_ groups: Int) -> Tensor {
    Tensor(
      storage: storage, byteOffset: byteOffset,
      shape: [groups, shape.rows / groups, shape.columns], dtype: dtype, rowStride: rowStride)
  }
}

extension Activation {
  fileprivate var oneDNN: dn_activation {
    switch self {
    case .none: dn_identity
    case .gelu: dn_gelu_tanh
    case .geluErf: dn_gelu_erf
    case .silu: dn_silu
    }
  }
}
