import CKernels

extension Compute {
  /// norm(x)·(1 + scale) + shift over the last axis; the norm has no affine part.
  ///
  /// - Parameters:
  ///   - x: `[B, N, C]` (or `[rows, C]`), usually f32.
  ///   - scale, shift: f32 `[G, C]`, G = 1 or B; may be column views.
  ///   - output: type of the result; nil for ``activationDType``.
  package func layerNorm(
    _ x: Tensor, epsilon: Float, scale: Tensor? = nil, shift: Tensor? = nil, output: DType? = nil
  ) throws(SparseDiTError) -> Tensor {
    let result = try empty(x.shape, output ?? activationDType)
    guard x.shape.count > 0 else { return result }
    var arguments = try normArguments(x, result, epsilon, scale, shift)
    ck_layer_norm(team, &arguments)
    withExtendedLifetime((x, result, scale, shift)) {}
    return result
  }

  /// The mean over the tokens of ``layerNorm(_:epsilon:scale:shift:output:)``: Poolingformer's
  /// one row. x is `[B, N, C]`, the result `[B, 1, C]`.
  package func layerNormMean(
    _ x: Tensor, epsilon: Float, scale: Tensor? = nil, shift: Tensor? = nil, output: DType? = nil
  ) throws(SparseDiTError) -> Tensor {
    try require(x.shape.rank == 3 && x.shape.count > 0, "layerNormMean", x)
    let result = try empty([x.shape[0], 1, x.shape[2]], output ?? activationDType)
    var arguments = try normArguments(x, result, epsilon, scale, shift)
    let partial = try empty([ck_layer_norm_mean_scratch(&arguments)], .f32)
    ck_layer_norm_mean(team, &arguments, partial.f32.baseAddress)
    withExtendedLifetime((x, result, scale, shift, partial)) {}
    return result
  }

  private func normArguments(
    _ x: Tensor, _ result: Tensor, _ epsilon: Float, _ scale: Tensor?, _ shift: Tensor?
  ) throws(SparseDiTError) -> ck_layer_norm_arguments {
    let groups = x.shape[0]
    let fits =
      (scale?.isGroupRows(groups, x.shape.columns) ?? true)
      && (shift?.isGroupRows(groups, x.shape.columns) ?? true)
    try require(fits && x.isFloat, "layerNorm", x, scale, shift)
    return ck_layer_norm_arguments(
      x: x.kernelRows, out: result.kernelRows, rows: x.shape.rows, columns: x.shape.columns,
      epsilon: epsilon, scale: scale?.floatPointer, shift: shift?.floatPointer,
      scale_stride: scale?.groupStride ?? 0, shift_stride: shift?.groupStride ?? 0,
      rows_per_group: x.shape.rows / groups)
  }

  /// x/√(mean(x²) + ε)·weight over the last axis.
  ///
  /// - Parameters:
  ///   - weight: f32 `[C]`.
  ///   - output: type of the result; nil for ``activationDType``.
  package func rmsNorm(
    _ x: Tensor, weight: Tensor, epsilon: Float, output: DType? = nil
  ) throws(SparseDiTError) -> Tensor {
    try require(x.isFloat && weight.isGroupRows(1, x.shape.columns), "rmsNorm", x, weight)
    let result = try empty(x.shape, output ?? activationDType)
    var arguments = ck_rms_norm_arguments(
      x: x.kernelRows, out: result.kernelRows, rows: x.shape.rows, columns: x.shape.columns,
      epsilon: epsilon, weight: weight.floatPointer)
    ck_rms_norm(team, &arguments)
    withExtendedLifetime((x, result, weight)) {}
    return result
  }

  /// Group normalisation of channels-last images with per-channel weight and bias, then SiLU if
  /// asked.
  ///
  /// - Parameters:
  ///   - x: `[B, H, W, C]` or `[B, N, C]`, usually f32.
  ///   - groups: a divisor of C.
  ///   - weight, bias: f32 `[C]`.
  ///   - output: type of the result; nil for ``activationDType``.
  package func groupNorm(
    _ x: Tensor, groups: Int, weight: Tensor, bias: Tensor, epsilon: Float, silu: Bool,
    output: DType? = nil
  ) throws(SparseDiTError) -> Tensor {
    let channels = x.shape.columns
    let fits = groups > 0 && channels % groups == 0 && x.shape.rank >= 3 && x.shape.count > 0
    try require(
      fits && x.isFloat && weight.isGroupRows(1, channels) && bias.isGroupRows(1, channels),
      "groupNorm", x, weight, bias)
    let result = try empty(x.shape, output ?? activationDType)
    var arguments = ck_group_norm_arguments(
      x: x.kernelRows, out: result.kernelRows, batch: x.shape[0],
      pixels: x.shape.rows / x.shape[0], channels: channels, groups: groups, epsilon: epsilon,
      weight: weight.floatPointer, bias: bias.floatPointer, silu: silu, scratch: nil)
    let scratch = try empty([ck_group_norm_scratch(&arguments)], .f32)
    arguments.scratch = scratch.f32.baseAddress
    ck_group_norm(team, &arguments)
    withExtendedLifetime((x, result, weight, bias, scratch)) {}
    return result
  }
}
