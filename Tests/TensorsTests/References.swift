import Glibc

@testable import Tensors

// The operations as their definitions read, one element at a time, in double precision.

enum Reference {
  static func linear(_ x: Tensor, _ layer: Linear) -> [Double] {
    let (a, w, b) = (x.doubles, layer.weight.doubles, layer.bias?.doubles)
    let (inputs, outputs) = (layer.inputs, layer.outputs)
    return (0..<x.shape.rows * outputs).map { index in
      let (row, output) = (index / outputs, index % outputs)
      return (0..<inputs).reduce(b?[output] ?? 0) {
        $0 + a[row * inputs + $1] * w[output * inputs + $1]
      }
    }
  }

  static func activate(_ x: Double, _ activation: Activation) -> Double {
    switch activation {
    case .none: return x
    case .gelu: return x / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .geluErf: return x / 2 * (1 + erf(x / 2.0.squareRoot()))
    case .silu: return x / (1 + exp(-x))
    }
  }

  static func attention(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, heads: Int, scale: Double,
    bias: [Double]?, mask: Tensor?
  ) -> [Double] {
    let (q, k, v, m) = (query.doubles, key.doubles, value.doubles, mask?.doubles)
    let (batch, queries, width) = (query.shape[0], query.shape[1], query.shape[2])
    let (keys, headWidth) = (key.shape[1], width / heads)
    var result = [Double](repeating: 0, count: batch * queries * width)
    for index in 0..<batch * heads * queries {
      let (entry, head, row) = (index / queries / heads, index / queries % heads, index % queries)
      let keyBatch = key.shape[0] == 1 ? 0 : entry
      let maskBatch = mask?.shape[0] == 1 ? 0 : entry
      let from = (entry * queries + row) * width + head * headWidth
      func at(_ column: Int) -> Int { (keyBatch * keys + column) * width + head * headWidth }
      var weights = (0..<keys).map { column in
        (0..<headWidth).reduce(0) { $0 + q[from + $1] * k[at(column) + $1] } * scale
          + (bias?[(head * queries + row) * keys + column] ?? 0)
          + (m?[maskBatch * keys + column] ?? 0)
      }
      let top = weights.max() ?? 0
      weights = weights.map { exp($0 - top) }
      let total = weights.reduce(0, +)
      for column in 0..<keys {
        for e in 0..<headWidth { result[from + e] += weights[column] / total * v[at(column) + e] }
      }
    }
    return result
  }

  /// norm(x)·(1 + scale) + shift.
  static func layerNorm(
    _ x: Tensor, epsilon: Double, scale: Tensor?, shift: Tensor?
  ) -> [Double] {
    let (values, columns, perGroup) = (x.doubles, x.shape.columns, x.shape.rows / x.shape[0])
    let (s, h) = (scale?.doubles, shift?.doubles)
    return (0..<x.shape.rows).flatMap { row in
      let part = values[row * columns..<(row + 1) * columns]
      let mean = part.reduce(0, +) / Double(columns)
      let variance = part.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns)
      func group(_ rows: Tensor?, _ column: Int) -> Int {
        (rows?.shape.rows == 1 ? 0 : row / perGroup) * columns + column
      }
      return part.enumerated().map { column, value in
        (value - mean) / (variance + epsilon).squareRoot()
          * (1 + (s?[group(scale, column)] ?? 0)) + (h?[group(shift, column)] ?? 0)
      }
    }
  }

  static func groupNorm(
    _ x: Tensor, groups: Int, weight: Tensor, bias: Tensor, epsilon: Double, silu: Bool
  ) -> [Double] {
    let (values, w, b, channels) = (x.doubles, weight.doubles, bias.doubles, x.shape.columns)
    let (pixels, width) = (x.shape.rows / x.shape[0], channels / groups)
    var result = values
    for index in 0..<x.shape[0] * groups {
      let (entry, group) = (index / groups, index % groups)
      let places = (0..<pixels * width).map {
        (entry * pixels + $0 / width) * channels + group * width + $0 % width
      }
      let count = Double(places.count)
      let mean = places.reduce(0) { $0 + values[$1] } / count
      let variance = places.reduce(0) { $0 + (values[$1] - mean) * (values[$1] - mean) } / count
      for place in places {
        let channel = place % channels
        let y =
          (values[place] - mean) / (variance + epsilon).squareRoot() * w[channel] + b[channel]
        result[place] = silu ? activate(y, .silu) : y
      }
    }
    return result
  }

  static func convolution(_ x: Tensor, _ layer: Convolution) -> [Double] {
    let (a, w, b) = (x.doubles, layer.weight.doubles, layer.bias?.doubles)
    let (height, width, inputs) = (x.shape[1], x.shape[2], x.shape[3])
    let (outputs, kernel) = (layer.weight.shape[0], (layer.weight.shape[2], layer.weight.shape[3]))
    let rows = (height + 2 * layer.padding - kernel.0) / layer.stride + 1
    let columns = (width + 2 * layer.padding - kernel.1) / layer.stride + 1
    return (0..<x.shape[0] * rows * columns * outputs).map { index in
      let (output, pixel) = (index % outputs, index / outputs)
      let (entry, top, left) = (
        pixel / columns / rows, pixel / columns % rows * layer.stride - layer.padding,
        pixel % columns * layer.stride - layer.padding
      )
      var sum = b?[output] ?? 0
      for i in 0..<kernel.0 where (0..<height).contains(top + i) {
        for j in 0..<kernel.1 where (0..<width).contains(left + j) {
          let from = ((entry * height + top + i) * width + left + j) * inputs
          for c in 0..<inputs {
            sum += a[from + c] * w[((output * inputs + c) * kernel.0 + i) * kernel.1 + j]
          }
        }
      }
      return sum
    }
  }

  /// The tokens of each cell of `to`, with PyTorch's bin edges.
  static func cells(_ from: Grid, _ to: Grid) -> [[Int]] {
    func edges(_ index: Int, _ size: Int, _ parts: Int) -> Range<Int> {
      index * size / parts..<((index + 1) * size + parts - 1) / parts
    }
    return (0..<to.count).map { cell in
      edges(cell / to.width, from.height, to.height).flatMap { row in
        edges(cell % to.width, from.width, to.width).map { row * from.width + $0 }
      }
    }
  }
}
