import COneDNN

// Images inside the autoencoder are channels-last, [B, H, W, C]: a pixel's channels are a row, as a
// token's are, so norms and attention are those of the backbone, and oneDNN's convolutions take and
// give it without a change of layout between layers.

extension Compute {
  /// `[B, C, H, W]` f32 to `[B, H, W, C]`; ``activationDType`` unless told.
  package func channelsLast(_ x: Tensor, output: DType? = nil) throws(SparseDiTError) -> Tensor {
    try require(x.shape.rank == 4, "channelsLast", x)
    let pixels = try patchify(x, patch: 1, output: output)
    return pixels.reshaped([x.shape[0], x.shape[2], x.shape[3], x.shape[1]])
  }

  /// `[B, H, W, C]` to f32 `[B, C, H, W]`.
  package func channelsFirst(_ x: Tensor) throws(SparseDiTError) -> Tensor {
    try require(x.shape.rank == 4 && x.isContiguous, "channelsFirst", x)
    let grid = Grid(height: x.shape[1], width: x.shape[2])
    return try unpatchify(x.reshaped([x.shape[0], grid.count, x.shape[3]]), grid: grid, patch: 1)
  }

  /// Twice the size of channels-last images, each pixel four times. Keeps the type unless told.
  package func upsampleNearest2x(
    _ x: Tensor, output: DType? = nil
  ) throws(SparseDiTError) -> Tensor {
    try require(x.shape.rank == 4 && x.isContiguous, "upsampleNearest2x", x)
    let (batch, height, width, channels) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    let pixels = try nearestUpsample(
      x.reshaped([batch, height * width, channels]), from: Grid(height: height, width: width),
      to: Grid(height: 2 * height, width: 2 * width), output: output)
    return pixels.reshaped([batch, 2 * height, 2 * width, channels])
  }

  /// Convolution of channels-last images `[B, H, W, in]`: `[B, H', W', out]`, f32 unless told.
  package func convolution(
    _ x: Tensor, _ layer: Convolution, output: DType = .f32
  ) throws(SparseDiTError) -> Tensor {
    let result = try empty(try resultShape(x, layer), output)
    try convolve(x, layer, into: result, accumulate: false)
    return result
  }

  /// residual += convolution(x), in place; `residual` is f32 and channels-last.
  package func convolution(
    _ x: Tensor, _ layer: Convolution, addingTo residual: Tensor
  ) throws(SparseDiTError) {
    let shape = try resultShape(x, layer)
    try require(
      residual.shape == shape && residual.dtype == .f32 && residual.isContiguous,
      "convolution", x, layer.weight, residual)
    try convolve(x, layer, into: residual, accumulate: true)
  }

  private func resultShape(
    _ x: Tensor, _ layer: Convolution
  ) throws(SparseDiTError) -> Shape {
    let (weight, padding) = (layer.weight, layer.padding)
    let fits =
      x.shape.rank == 4 && weight.shape.rank == 4 && weight.shape[1] == x.shape[3]
      && x.shape.count > 0 && weight.shape.count > 0 && layer.stride > 0 && padding >= 0
      && x.shape[1] + 2 * padding >= weight.shape[2] && x.shape[2] + 2 * padding >= weight.shape[3]
    try require(
      fits && x.isFloat && x.isContiguous && weight.isFloat && weight.isContiguous
        && (layer.bias?.isGroupRows(1, weight.shape[0]) ?? true),
      "convolution", x, weight, layer.bias)
    return [
      x.shape[0], (x.shape[1] + 2 * padding - weight.shape[2]) / layer.stride + 1,
      (x.shape[2] + 2 * padding - weight.shape[3]) / layer.stride + 1, weight.shape[0],
    ]
  }

  private func convolve(
    _ x: Tensor, _ layer: Convolution, into result: Tensor, accumulate: Bool
  ) throws(SparseDiTError) {
    workCount?.add(
      rows: result.shape.rows, weight: layer.weight, bias: layer.bias)
    let type = productType(of: layer.weight)
    let (x, weight) = (try converted(x, to: type), try converted(layer.weight, to: type))
    var shape = convolutionShape(x, layer, type: type, into: result, accumulate: accumulate)
    let (primitive, scratchBytes) = try prepare(&shape)
    let scratch = try workspace.storage(scratchBytes)
    var operands = dn_convolution_operands()
    operands.x = UnsafeRawPointer(x.pointer)
    operands.weights = UnsafeRawPointer(weight.pointer)
    operands.bias = layer.bias?.floatPointer
    operands.out = result.pointer
    operands.scratch = scratch.base
    try oneDNN.check(dn_convolution_run(oneDNN.engine, primitive, &operands))
    // The tensors are only known by address down there.
    withExtendedLifetime((x, weight, scratch, layer, result)) {}
  }

  /// What oneDNN has to know of a convolution whose operands are of `type`.
  func convolutionShape(
    _ x: Tensor, _ layer: Convolution, type: DType, into result: Tensor, accumulate: Bool
  ) -> dn_convolution_shape {
    var shape = dn_convolution_shape()
    shape.batch = Int64(x.shape[0])
    shape.height = Int64(x.shape[1])
    shape.width = Int64(x.shape[2])
    shape.inputs = Int64(x.shape[3])
    shape.outputs = Int64(layer.weight.shape[0])
    shape.kernel_height = Int64(layer.weight.shape[2])
    shape.kernel_width = Int64(layer.weight.shape[3])
    shape.stride = Int64(layer.stride)
    shape.padding = Int64(layer.padding)
    shape.input_type = type.kernelType
    shape.output_type = result.dtype.kernelType
    shape.bias = layer.bias != nil
    shape.residual = accumulate
    return shape
  }

  func prepare(
    _ shape: inout dn_convolution_shape
  ) throws(SparseDiTError) -> (primitive: OpaquePointer?, scratchBytes: Int) {
    var primitive: OpaquePointer?
    var scratchBytes = 0
    try oneDNN.check(dn_convolution_prepare(oneDNN.engine, &shape, &primitive, &scratchBytes))
    return (primitive, scratchBytes)
  }
}
