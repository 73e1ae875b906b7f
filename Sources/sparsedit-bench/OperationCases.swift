import Tensors

/// One thing to measure.
struct OperationCase {
  let name: String
  /// Multiply-adds count as two; 0 for what memory limits.
  let operations: Double
  /// Bytes read and written at least.
  let bytes: Double
  let run: () throws(SparseDiTError) -> Void
}

/// The operations of one transformer block.
struct BlockSizes {
  let name: String
  let batch: Int
  let grid: Grid
  let sparse: Grid
  let width: Int
  let heads: Int
  let hidden: Int
  let text: Int

  static let all = [
    BlockSizes(
      name: "XL/2 256²", batch: 2, grid: Grid(height: 16, width: 16),
      sparse: Grid(height: 8, width: 8), width: 1152, heads: 16, hidden: 4608, text: 120),
    BlockSizes(
      name: "XL/2 512²", batch: 2, grid: Grid(height: 32, width: 32),
      sparse: Grid(height: 14, width: 14), width: 1152, heads: 16, hidden: 4608, text: 120),
    BlockSizes(
      name: "default model", batch: 2, grid: Grid(height: 8, width: 8),
      sparse: Grid(height: 4, width: 4), width: 192, heads: 6, hidden: 768, text: 32),
  ]

  func cases(on compute: Compute) throws(SparseDiTError) -> [OperationCase] {
    let rows = batch * grid.count
    let x = try compute.filled([batch, grid.count, width], .f32)
    let h = try compute.layerNorm(x, epsilon: 1e-6)
    let modulation = try compute.filled([1, 6 * width], .f32)
    let (shift, scale) = (modulation.columns(0..<width), modulation.columns(width..<2 * width))
    let gate = modulation.columns(2 * width..<3 * width)
    let qkv = try compute.randomLinear(width, 3 * width)
    let projection = try compute.randomLinear(width, width)
    let up = try compute.randomLinear(width, hidden)
    let down = try compute.randomLinear(hidden, width)
    let fused = try compute.linear(h, qkv)
    let expanded = try compute.linear(h, up)
    let words = try compute.filled([batch, text, 2 * width], compute.activationDType)
    let mask = try compute.filled([batch, text], .f32)
    let (grid, sparse, heads, width) = (grid, sparse, heads, width)
    let factor = 1 / Float(width / heads).squareRoot()
    let element = Double(compute.activationDType.byteCount)

    func product(
      _ name: String, _ layer: Linear, _ body: @escaping () throws(SparseDiTError) -> Void
    ) -> OperationCase {
      let sizes = Double(layer.inputs) * Double(layer.outputs)
      return OperationCase(
        name: "\(self.name): \(name)", operations: 2 * Double(rows) * sizes,
        bytes: sizes * Double(layer.weight.dtype.byteCount), run: body)
    }
    func attend(
      _ name: String, keys: Int, _ body: @escaping () throws(SparseDiTError) -> Void
    ) -> OperationCase {
      OperationCase(
        name: "\(self.name): \(name)", operations: 4 * Double(rows) * Double(keys * width),
        bytes: Double(2 * rows + 2 * batch * keys) * Double(width) * element, run: body)
    }
    func move(
      _ name: String, _ bytes: Double, _ body: @escaping () throws(SparseDiTError) -> Void
    ) -> OperationCase {
      OperationCase(name: "\(self.name): \(name)", operations: 0, bytes: bytes, run: body)
    }
    let elements = Double(x.shape.count)
    return [
      product("qkv", qkv) { () throws(SparseDiTError) in _ = try compute.linear(h, qkv) },
      product("projection + gate + residual", projection) { () throws(SparseDiTError) in
        try compute.linear(h, projection, addingTo: x, gate: gate)
      },
      product("MLP up + GELU", up) { () throws(SparseDiTError) in
        _ = try compute.linear(h, up, activation: .gelu)
      },
      product("MLP down + gate + residual", down) { () throws(SparseDiTError) in
        try compute.linear(expanded, down, addingTo: x, gate: gate)
      },
      attend("self-attention", keys: grid.count) { () throws(SparseDiTError) in
        _ = try compute.attention(
          query: fused.columns(0..<width), key: fused.columns(width..<2 * width),
          value: fused.columns(2 * width..<3 * width), heads: heads, scale: factor)
      },
      attend("cross-attention", keys: text) { () throws(SparseDiTError) in
        _ = try compute.attention(
          query: h, key: words.columns(0..<width), value: words.columns(width..<2 * width),
          heads: heads, scale: factor, bias: .perKey(mask))
      },
      move("norm + modulate", elements * (4 + element)) { () throws(SparseDiTError) in
        _ = try compute.layerNorm(x, epsilon: 1e-6, scale: scale, shift: shift)
      },
      move("Poolingformer mean", elements * 4) { () throws(SparseDiTError) in
        _ = try compute.layerNormMean(x, epsilon: 1e-6, scale: scale, shift: shift)
      },
      move("adaptive pooling", elements * 4) { () throws(SparseDiTError) in
        _ = try compute.adaptiveAveragePool(x, from: grid, to: sparse)
      },
    ]
  }
}

/// The heavy operations of a decoder's stages: 3×3 convolution and GroupNorm + SiLU.
struct PictureSizes {
  let name: String
  let side: Int
  let channels: Int
  let groups: Int

  static let all = [
    PictureSizes(name: "SD VAE", side: 64, channels: 512, groups: 32),
    PictureSizes(name: "SD VAE", side: 256, channels: 256, groups: 32),
    PictureSizes(name: "SD VAE", side: 512, channels: 128, groups: 32),
    PictureSizes(name: "small VAE", side: 32, channels: 64, groups: 8),
    PictureSizes(name: "small VAE", side: 128, channels: 32, groups: 8),
    PictureSizes(name: "small VAE", side: 256, channels: 16, groups: 8),
  ]

  func cases(on compute: Compute) throws(SparseDiTError) -> [OperationCase] {
    let x = try compute.filled([1, side, side, channels], .f32)
    let weight = try compute.filled([channels, channels, 3, 3], compute.weightDType)
    let bias = try compute.filled([channels], .f32)
    let layer = Convolution(weight: weight, bias: bias, stride: 1, padding: 1)
    let groups = groups
    let h = try compute.groupNorm(
      x, groups: groups, weight: bias, bias: bias, epsilon: 1e-6, silu: true)
    let (pixels, size) = (Double(side * side), Double(channels))
    let name = "\(name) \(side)² × \(channels)"
    return [
      OperationCase(
        name: "\(name): 3×3 convolution", operations: 18 * pixels * size * size,
        bytes: 2 * pixels * size * 4
      ) { () throws(SparseDiTError) in _ = try compute.convolution(h, layer) },
      OperationCase(
        name: "\(name): GroupNorm + SiLU", operations: 0, bytes: 3 * pixels * size * 4
      ) { () throws(SparseDiTError) in
        _ = try compute.groupNorm(
          x, groups: groups, weight: bias, bias: bias, epsilon: 1e-6, silu: true)
      },
    ]
  }
}

extension Compute {
  var weightDType: DType { precision == .bf16 ? .bf16 : .f32 }

  /// Numbers between −1 and 1 without a pattern that arithmetic could profit from.
  func filled(_ shape: Shape, _ dtype: DType) throws(SparseDiTError) -> Tensor {
    let result = try empty(shape, .f32)
    var state: UInt32 = 1
    for index in 0..<shape.count {
      state = state &* 1_664_525 &+ 1_013_904_223
      result.f32[index] = Float(Int32(bitPattern: state)) / 2_147_483_648
    }
    return dtype == .f32 ? result : try cast(result, to: dtype)
  }

  func randomLinear(_ inputs: Int, _ outputs: Int) throws(SparseDiTError) -> Linear {
    Linear(
      weight: try filled([outputs, inputs], weightDType), bias: try filled([outputs], .f32),
      isReadOften: true)
  }
}
