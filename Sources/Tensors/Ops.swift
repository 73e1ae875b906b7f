import Glibc

extension Compute {
  private func make(
    _ shape: Shape, _ dtype: DType, _ values: [Float]
  ) throws(SparseDiTError) -> Tensor {
    let result = try empty(shape, dtype)
    store(values, in: result)
    return result
  }

  private func store(_ values: [Float], in tensor: Tensor) {
    for row in 0..<tensor.shape.rows {
      for column in 0..<tensor.shape.columns {
        let value = values[row * tensor.shape.columns + column]
        let index = row * tensor.rowStride + column
        switch tensor.dtype {
        case .bf16:
          let bits = value.bitPattern
          let rounded = (bits &+ 0x7fff &+ ((bits >> 16) & 1)) >> 16
          tensor.pointer.storeBytes(
            of: UInt16(truncatingIfNeeded: rounded), toByteOffset: index * 2, as: UInt16.self)
        case .f16:
          tensor.pointer.storeBytes(of: Float16(value), toByteOffset: index * 2, as: Float16.self)
        default: tensor.pointer.storeBytes(of: value, toByteOffset: index * 4, as: Float.self)
        }
      }
    }
  }

  private func product(_ x: Tensor, _ layer: Linear) throws(SparseDiTError) -> [Float] {
    try require(x.shape.columns == layer.inputs, "linear", x, layer.weight)
    let (a, w) = (x.floats(), layer.weight.floats())
    let (rows, k, n) = (x.shape.rows, layer.inputs, layer.outputs)
    var y = [Float](repeating: 0, count: rows * n)
    let b = layer.bias?.floats()
    for r in 0..<rows {
      for o in 0..<n {
        var sum: Float = 0
        for i in 0..<k { sum += a[r * k + i] * w[o * k + i] }
        y[r * n + o] = sum + (b?[o] ?? 0)
      }
    }
    return y
  }

  private func activate(_ x: Float, _ activation: Activation) -> Float {
    switch activation {
    case .none: x
    case .gelu: 0.5 * x * (1 + tanhf(0.7978845608 * (x + 0.044715 * x * x * x)))
    case .geluErf: 0.5 * x * (1 + erff(x * 0.70710678))
    case .silu: x / (1 + expf(-x))
    }
  }

  /// activation(x·Wᵀ + b), times `factor` element by element when given (T5's gated MLP).
  ///
  /// - Parameters:
  ///   - x: `[…, in]`, any float type.
  ///   - factor: `[…, out]`.
  ///   - output: type of the result; nil for ``activationDType``.
  package func linear(
    _ x: Tensor, _ layer: Linear, activation: Activation = .none, multipliedBy factor: Tensor? = nil,
    output: DType? = nil
  ) throws(SparseDiTError) -> Tensor {
    var y = try product(x, layer)
    let f = factor?.floats()
    for i in y.indices { y[i] = activate(y[i], activation) * (f?[i] ?? 1) }
    return try make(
      Shape(x.shape.sizes.dropLast() + [layer.outputs]), output ?? activationDType, y)
  }

  /// residual += gate·(x·Wᵀ + b), in place.
  ///
  /// - Parameters:
  ///   - residual: f32 `[B, N, out]` (or `[rows, out]`), contiguous.
  ///   - gate: f32 `[G, out]`, G = 1 or the first axis of `residual`.
  package func linear(
    _ x: Tensor, _ layer: Linear, addingTo residual: Tensor, gate: Tensor? = nil
  ) throws(SparseDiTError) {
    let y = try product(x, layer)
    let n = layer.outputs
    let g = gate?.floats()
    let perGroup = residual.shape.rows / (gate?.shape.rows ?? 1)
    for i in y.indices {
      let row = i / n
      residual.f32[i] += y[i] * (g?[row / perGroup * n + i % n] ?? 1)
    }
  }

  private func modulated(
    _ x: Tensor, epsilon: Float, scale: Tensor?, shift: Tensor?
  ) -> [Float] {
    let (a, c) = (x.floats(), x.shape.columns)
    let (s, h) = (scale?.floats(), shift?.floats())
    let perGroup = x.shape.rows / (scale ?? shift ?? x.rows(0..<1)).shape.rows
    var y = a
    for r in 0..<x.shape.rows {
      let row = a[(r * c)..<((r + 1) * c)]
      let mean = row.reduce(0, +) / Float(c)
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(c)
      let g = scale == nil && shift == nil ? 0 : r / perGroup
      for i in 0..<c {
        y[r * c + i] =
          (a[r * c + i] - mean) / sqrtf(variance + epsilon) * (1 + (s?[g * c + i] ?? 0))
          + (h?[g * c + i] ?? 0)
      }
    }
    return y
  }

  /// norm(x)·(1 + scale) + shift over the last axis, no affine part. Returns ``activationDType``.
  ///
  /// - Parameters:
  ///   - x: f32 `[B, N, C]`.
  ///   - scale, shift: f32 `[G, C]`, G = 1 or B.
  package func layerNorm(
    _ x: Tensor, epsilon: Float, scale: Tensor? = nil, shift: Tensor? = nil
  ) throws(SparseDiTError) -> Tensor {
    try make(
      x.shape, activationDType, modulated(x, epsilon: epsilon, scale: scale, shift: shift))
  }

  /// The mean over the tokens of ``layerNorm(_:epsilon:scale:shift:)``: Poolingformer's one row.
  /// Returns ``activationDType`` `[B, 1, C]`.
  package func layerNormMean(
    _ x: Tensor, epsilon: Float, scale: Tensor? = nil, shift: Tensor? = nil
  ) throws(SparseDiTError) -> Tensor {
    let y = modulated(x, epsilon: epsilon, scale: scale, shift: shift)
    let (b, n, c) = (x.shape[0], x.shape[1], x.shape[2])
    var mean = [Float](repeating: 0, count: b * c)
    for i in y.indices { mean[i / (n * c) * c + i % c] += y[i] / Float(n) }
    return try make([b, 1, c], activationDType, mean)
  }

  /// x/√(mean(x²) + ε)·weight over the last axis. Returns ``activationDType``.
  package func rmsNorm(
    _ x: Tensor, weight: Tensor, epsilon: Float
  ) throws(SparseDiTError) -> Tensor {
    let (a, w, c) = (x.floats(), weight.floats(), x.shape.columns)
    var y = a
    for r in 0..<x.shape.rows {
      let square = a[(r * c)..<((r + 1) * c)].reduce(0) { $0 + $1 * $1 } / Float(c)
      for i in 0..<c { y[r * c + i] = a[r * c + i] / sqrtf(square + epsilon) * w[i] }
    }
    return try make(x.shape, activationDType, y)
  }

  /// Group normalisation of channels-last images with per-channel weight and bias, then SiLU if
  /// asked. Returns ``activationDType``.
  ///
  /// - Parameters:
  ///   - x: f32 `[B, H, W, C]`, or `[B, N, C]`.
  ///   - weight, bias: f32 `[C]`.
  package func groupNorm(
    _ x: Tensor, groups: Int, weight: Tensor, bias: Tensor, epsilon: Float, silu: Bool
  ) throws(SparseDiTError) -> Tensor {
    let (a, w, h, c) = (x.floats(), weight.floats(), bias.floats(), x.shape.columns)
    try require(c % groups == 0 && w.count == c && h.count == c, "groupNorm", x, weight, bias)
    let (b, n, per) = (x.shape[0], x.shape.rows / x.shape[0], c / groups)
    var y = a
    for i in 0..<b {
      for g in 0..<groups {
        let indices = (0..<n * per).map { i * n * c + $0 / per * c + g * per + $0 % per }
        let mean = indices.reduce(0.0) { $0 + Double(a[$1]) } / Double(indices.count)
        let variance =
          indices.reduce(0.0) { $0 + (Double(a[$1]) - mean) * (Double(a[$1]) - mean) }
          / Double(indices.count)
        for index in indices {
          let value =
            (a[index] - Float(mean)) / sqrtf(Float(variance) + epsilon) * w[index % c]
            + h[index % c]
          y[index] = silu ? activate(value, .silu) : value
        }
      }
    }
    return try make(x.shape, activationDType, y)
  }

  /// softmax(scale·Q·Kᵀ + bias)·V for each head; heads are equal parts of the last axis.
  /// Returns ``activationDType`` `[B, queries, D]`.
  ///
  /// - Parameters:
  ///   - query: `[B, queries, D]`, may be a column view of a fused projection.
  ///   - key, value: `[B or 1, keys, D]`, likewise.
  package func attention(
    query: Tensor, key: Tensor, value: Tensor, heads: Int, scale: Float,
    bias: AttentionBias? = nil
  ) throws(SparseDiTError) -> Tensor {
    let (q, k, v) = (query.floats(), key.floats(), value.floats())
    let (b, nq, d, nk) = (query.shape[0], query.shape[1], query.shape[2], key.shape[1])
    let (kb, dh) = (key.shape[0], d / heads)
    var perHead: [Float]?
    var mask: (values: [Float], batch: Int)?
    switch bias {
    case nil: break
    case .perKey(let m): mask = (m.floats(), m.shape[0])
    case .perHead(let h, let m):
      perHead = h.floats()
      mask = m.map { ($0.floats(), $0.shape[0]) }
    }
    var y = [Float](repeating: 0, count: b * nq * d)
    for i in 0..<b {
      let ki = kb == 1 ? 0 : i
      for head in 0..<heads {
        for r in 0..<nq {
          var scores = [Float](repeating: 0, count: nk)
          for c in 0..<nk {
            var sum: Float = 0
            for e in 0..<dh {
              sum += q[(i * nq + r) * d + head * dh + e] * k[(ki * nk + c) * d + head * dh + e]
            }
            scores[c] =
              sum * scale + (perHead?[(head * nq + r) * nk + c] ?? 0)
              + (mask.map { $0.values[($0.batch == 1 ? 0 : i) * nk + c] } ?? 0)
          }
          let top = scores.max() ?? 0
          scores = scores.map { expf($0 - top) }
          let total = scores.reduce(0, +)
          for c in 0..<nk {
            for e in 0..<dh {
              y[(i * nq + r) * d + head * dh + e] +=
                scores[c] / total * v[(ki * nk + c) * d + head * dh + e]
            }
          }
        }
      }
    }
    return try make([b, nq, d], activationDType, y)
  }

  /// Mean of each cell of a coarser grid, with PyTorch's bin edges floor(i·H/h) … ceil((i+1)·H/h).
  /// x is f32 `[B, H·W, C]`; returns f32 `[B, h·w, C]`.
  package func adaptiveAveragePool(
    _ x: Tensor, from: Grid, to: Grid
  ) throws(SparseDiTError) -> Tensor {
    try require(x.shape.rank == 3 && x.shape[1] == from.count, "adaptiveAveragePool", x)
    let (a, b, c) = (x.floats(), x.shape[0], x.shape[2])
    var y = [Float](repeating: 0, count: b * to.count * c)
    for i in 0..<b {
      for p in 0..<to.count {
        let (row, column) = (p / to.width, p % to.width)
        let (top, bottom) = (
          row * from.height / to.height, ((row + 1) * from.height + to.height - 1) / to.height
        )
        let (left, right) = (
          column * from.width / to.width, ((column + 1) * from.width + to.width - 1) / to.width
        )
        for u in top..<bottom {
          for v in left..<right {
            for e in 0..<c {
              y[(i * to.count + p) * c + e] +=
                a[(i * from.count + u * from.width + v) * c + e]
                / Float((bottom - top) * (right - left))
            }
          }
        }
      }
    }
    return try make([b, to.count, c], .f32, y)
  }

  /// Nearest neighbour on a finer grid, PyTorch's index rule floor(i·h/H). Keeps the type.
  package func nearestUpsample(
    _ x: Tensor, from: Grid, to: Grid
  ) throws(SparseDiTError) -> Tensor {
    try require(x.shape.rank == 3 && x.shape[1] == from.count, "nearestUpsample", x)
    let (a, b, c) = (x.floats(), x.shape[0], x.shape[2])
    var y: [Float] = []
    for i in 0..<b {
      for p in 0..<to.count {
        let source =
          (p / to.width * from.height / to.height) * from.width
          + p % to.width * from.width / to.width
        y += a[((i * from.count + source) * c)..<((i * from.count + source + 1) * c)]
      }
    }
    return try make([b, to.count, c], x.dtype, y)
  }

  /// x += gate·row, in place: `row` is f32 `[B, 1, C]` or `[1, 1, C]` (one row for all tokens of
  /// an image) or `[N, C]` (a position table); `gate` f32 `[G, C]`, G = 1 or B.
  package func broadcastAdd(
    _ x: Tensor, _ row: Tensor, gate: Tensor? = nil
  ) throws(SparseDiTError) {
    let (b, n, c) = (x.shape[0], x.shape[1], x.shape[2])
    let (r, g) = (row.floats(), gate?.floats())
    let table = row.shape.rank == 2
    try require(row.shape.columns == c && (!table || row.shape[0] == n), "broadcastAdd", x, row)
    for i in 0..<b {
      for t in 0..<n {
        for e in 0..<c {
          let source = table ? t : (row.shape[0] == 1 ? 0 : i)
          let group = gate.map { $0.shape.rows == 1 ? 0 : i } ?? 0
          x.f32[(i * n + t) * c + e] += r[source * c + e] * (g?[group * c + e] ?? 1)
        }
      }
    }
  }

  /// a + b, element by element; f32.
  package func add(_ a: Tensor, _ b: Tensor) throws(SparseDiTError) -> Tensor {
    try require(a.shape.count == b.shape.count, "add", a, b)
    return try make(a.shape, .f32, zip(a.floats(), b.floats()).map(+))
  }

  /// x·factor; f32.
  package func scaled(_ x: Tensor, by factor: Float) throws(SparseDiTError) -> Tensor {
    try make(x.shape, .f32, x.floats().map { $0 * factor })
  }

  /// x/(1 + e⁻ˣ); f32 or the given type.
  package func silu(_ x: Tensor, output: DType = .f32) throws(SparseDiTError) -> Tensor {
    try make(x.shape, output, x.floats().map { activate($0, .silu) })
  }

  /// Rows of `table` `[entries, C]` by i32 `ids` of any shape: f32 `[…ids, C]`.
  ///
  /// - Throws: `internalFailure` for an id outside the table.
  package func gatherRows(_ table: Tensor, _ ids: Tensor) throws(SparseDiTError) -> Tensor {
    let (values, c) = (table.floats(), table.shape.columns)
    var y: [Float] = []
    for id in ids.floats().map({ Int($0) }) {
      guard (0..<table.shape[0]).contains(id) else {
        throw .internalFailure("gatherRows: id \(id) is outside a table of \(table.shape[0]) rows")
      }
      y += values[(id * c)..<((id + 1) * c)]
    }
    return try make(Shape(ids.shape.sizes + [c]), .f32, y)
  }

  /// The same values, contiguous, in another type.
  package func cast(_ x: Tensor, to dtype: DType) throws(SparseDiTError) -> Tensor {
    try make(x.shape, dtype, x.floats())
  }

  /// Joins tensors of one type along the first axis.
  package func concatenate(_ tensors: [Tensor]) throws(SparseDiTError) -> Tensor {
    guard let first = tensors.first else { throw .internalFailure("concatenate: nothing to join") }
    let sizes = [tensors.reduce(0) { $0 + $1.shape[0] }] + first.shape.sizes.dropFirst()
    return try make(Shape(sizes), first.dtype, tensors.flatMap { $0.floats() })
  }

  /// Images `[B, C, h, w]` to patch rows `[B, (h/p)·(w/p), C·p·p]`, values ordered as the weights
  /// of a p×p convolution: channel, row, column. Returns ``activationDType``.
  package func patchify(_ x: Tensor, patch p: Int) throws(SparseDiTError) -> Tensor {
    let (a, b, c, h, w) = (x.floats(), x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    try require(h % p == 0 && w % p == 0, "patchify", x)
    var y: [Float] = []
    for i in 0..<b {
      for v in 0..<h / p {
        for u in 0..<w / p {
          for e in 0..<c {
            for s in 0..<p {
              for t in 0..<p { y.append(a[((i * c + e) * h + v * p + s) * w + u * p + t]) }
            }
          }
        }
      }
    }
    return try make([b, h * w / p / p, c * p * p], activationDType, y)
  }

  /// The last linear layer's rows `[B, h·w, p·p·C]` (row, column, channel) to f32 images
  /// `[B, C, h·p, w·p]`.
  package func unpatchify(
    _ x: Tensor, grid: Grid, patch p: Int
  ) throws(SparseDiTError) -> Tensor {
    try require(x.shape[1] == grid.count && x.shape[2] % (p * p) == 0, "unpatchify", x)
    let (a, b, c) = (x.floats(), x.shape[0], x.shape[2] / (p * p))
    let (h, w) = (grid.height * p, grid.width * p)
    var y = [Float](repeating: 0, count: a.count)
    for i in 0..<b {
      for e in 0..<c {
        for v in 0..<h {
          for u in 0..<w {
            let token = i * grid.count + v / p * grid.width + u / p
            y[((i * c + e) * h + v) * w + u] =
              a[token * p * p * c + (v % p * p + u % p) * c + e]
          }
        }
      }
    }
    return try make([b, c, h, w], .f32, y)
  }

  /// `[B, C, H, W]` to `[B, H, W, C]`; ``activationDType`` unless told.
  package func channelsLast(_ x: Tensor, output: DType? = nil) throws(SparseDiTError) -> Tensor {
    let (a, b, c, n) = (x.floats(), x.shape[0], x.shape[1], x.shape[2] * x.shape[3])
    var y = a
    for i in 0..<b {
      for e in 0..<c { for j in 0..<n { y[(i * n + j) * c + e] = a[(i * c + e) * n + j] } }
    }
    return try make([b, x.shape[2], x.shape[3], c], output ?? activationDType, y)
  }

  /// `[B, H, W, C]` to f32 `[B, C, H, W]`.
  package func channelsFirst(_ x: Tensor) throws(SparseDiTError) -> Tensor {
    let (a, b, c, n) = (x.floats(), x.shape[0], x.shape[3], x.shape[1] * x.shape[2])
    var y = a
    for i in 0..<b {
      for e in 0..<c { for j in 0..<n { y[(i * c + e) * n + j] = a[(i * n + j) * c + e] } }
    }
    return try make([b, c, x.shape[1], x.shape[2]], .f32, y)
  }

  /// Convolution of channels-last images `[B, H, W, in]`; f32 `[B, H', W', out]` unless told.
  package func convolution(
    _ x: Tensor, _ layer: Convolution, output: DType = .f32
  ) throws(SparseDiTError) -> Tensor {
    let (a, k) = (x.floats(), layer.weight.floats())
    let (b, h, w, c) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    let (o, kh, kw) = (layer.weight.shape[0], layer.weight.shape[2], layer.weight.shape[3])
    try require(layer.weight.shape[1] == c, "convolution", x, layer.weight)
    let oh = (h + 2 * layer.padding - kh) / layer.stride + 1
    let ow = (w + 2 * layer.padding - kw) / layer.stride + 1
    let bias = layer.bias?.floats()
    var y = [Float](repeating: 0, count: b * oh * ow * o)
    for i in 0..<b {
      for v in 0..<oh {
        for u in 0..<ow {
          for f in 0..<o {
            var sum = bias?[f] ?? 0
            for s in 0..<kh {
              for t in 0..<kw {
                let (row, column) = (
                  v * layer.stride + s - layer.padding, u * layer.stride + t - layer.padding
                )
                guard (0..<h).contains(row), (0..<w).contains(column) else { continue }
                for e in 0..<c {
                  sum +=
                    a[((i * h + row) * w + column) * c + e] * k[((f * c + e) * kh + s) * kw + t]
                }
              }
            }
            y[((i * oh + v) * ow + u) * o + f] = sum
          }
        }
      }
    }
    return try make([b, oh, ow, o], output, y)
  }

  /// residual += convolution(x), in place; `residual` is f32 and channels-last.
  package func convolution(
    _ x: Tensor, _ layer: Convolution, addingTo residual: Tensor
  ) throws(SparseDiTError) {
    let y = try convolution(x, layer).f32
    try require(y.count == residual.shape.count, "convolution", x, residual)
    for i in y.indices { residual.f32[i] += y[i] }
  }

  /// Twice the size of channels-last images, each pixel four times. Keeps the type unless told.
  package func upsampleNearest2x(
    _ x: Tensor, output: DType? = nil
  ) throws(SparseDiTError) -> Tensor {
    let (b, h, w, c) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    let tokens = x.reshaped([b, h * w, c])
    let y = try nearestUpsample(
      tokens, from: Grid(height: h, width: w), to: Grid(height: 2 * h, width: 2 * w))
    return try cast(y.reshaped([b, 2 * h, 2 * w, c]), to: output ?? x.dtype)
  }

  /// Whether every element is a finite number.
  package func isFinite(_ x: Tensor) -> Bool { x.floats().allSatisfy(\.isFinite) }
}
