import CKernels

extension Compute {
  /// Mean of each cell of a coarser grid, with PyTorch's bin edges floor(i·H/h) … ceil((i+1)·H/h).
  /// x is f32 `[B, H·W, C]`, the result f32 `[B, h·w, C]`.
  package func adaptiveAveragePool(
    _ x: Tensor, from: Grid, to: Grid
  ) throws(SparseDiTError) -> Tensor {
    let (result, arguments) = try gridArguments(x, from, to, "adaptiveAveragePool", .f32)
    if var arguments { ck_adaptive_average(team, &arguments) }
    withExtendedLifetime((x, result)) {}
    return result
  }

  /// Nearest neighbour on another grid, PyTorch's index rule floor(i·h/H). Keeps the type of
  /// x `[B, h·w, C]` unless told.
  package func nearestUpsample(
    _ x: Tensor, from: Grid, to: Grid, output: DType? = nil
  ) throws(SparseDiTError) -> Tensor {
    let (result, arguments) = try gridArguments(x, from, to, "nearestUpsample", output ?? x.dtype)
    if var arguments { ck_nearest(team, &arguments) }
    withExtendedLifetime((x, result)) {}
    return result
  }

  private func gridArguments(
    _ x: Tensor, _ from: Grid, _ to: Grid, _ operation: StaticString, _ output: DType
  ) throws(SparseDiTError) -> (result: Tensor, arguments: ck_grid_arguments?) {
    let fits = x.shape.rank == 3 && x.shape[1] == from.count && from.count > 0 && to.count > 0
    try require(fits && x.isFloat, operation, x)
    let result = try empty([x.shape[0], to.count, x.shape[2]], output)
    guard x.shape.count > 0 else { return (result, nil) }
    return (
      result,
      ck_grid_arguments(
        x: x.kernelRows, out: result.kernelRows, batch: x.shape[0], columns: x.shape[2],
        from_height: from.height, from_width: from.width, to_height: to.height, to_width: to.width)
    )
  }

  /// Images `[B, C, h, w]` to patch rows `[B, (h/p)·(w/p), C·p·p]`, values ordered as the weights
  /// of a p×p convolution: channel, row, column. x is f32, the result ``activationDType`` unless
  /// told.
  package func patchify(
    _ x: Tensor, patch: Int, output: DType? = nil
  ) throws(SparseDiTError) -> Tensor {
    let fits =
      patch > 0 && x.shape.rank == 4 && x.shape[2] % patch == 0 && x.shape[3] % patch == 0
    try require(fits && x.dtype == .f32 && x.isContiguous, "patchify", x)
    let (batch, channels, height, width) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    let tokens = height / patch * (width / patch)
    let result = try empty([batch, tokens, channels * patch * patch], output ?? activationDType)
    guard x.shape.count > 0 else { return result }
    var arguments = ck_patch_arguments(
      image: x.f32.baseAddress, tokens: result.kernelRows, batch: batch, channels: channels,
      height: height, width: width, patch: patch)
    ck_patchify(team, &arguments)
    withExtendedLifetime((x, result)) {}
    return result
  }

  /// Rows `[B, h·w, p·p·C]` (values ordered row, column, channel: the last linear layer's) to f32
  /// images `[B, C, h·p, w·p]`.
  package func unpatchify(
    _ x: Tensor, grid: Grid, patch: Int
  ) throws(SparseDiTError) -> Tensor {
    let area = patch * patch
    let fits =
      patch > 0 && x.shape.rank == 3 && x.shape[1] == grid.count && x.shape[2] % area == 0
    try require(fits && x.isFloat, "unpatchify", x)
    let (batch, channels) = (x.shape[0], x.shape[2] / area)
    let (height, width) = (grid.height * patch, grid.width * patch)
    let result = try empty([batch, channels, height, width], .f32)
    guard x.shape.count > 0 else { return result }
    var arguments = ck_patch_arguments(
      image: result.f32.baseAddress, tokens: x.kernelRows, batch: batch, channels: channels,
      height: height, width: width, patch: patch)
    ck_unpatchify(team, &arguments)
    withExtendedLifetime((x, result)) {}
    return result
  }
}
