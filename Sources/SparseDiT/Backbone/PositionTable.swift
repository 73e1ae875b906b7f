import Glibc
import Tensors

/// The sin-cos position embedding of a token grid, f32 `[H·W, D]`.
///
/// Positions are scaled so that any grid spans the base grid of the training size. The first half
/// of the channels encodes the column, the second the row; each half is sines, then cosines.
/// Positions are f32 and angles f64, as in diffusers' `get_2d_sincos_pos_embed`.
///
/// - Parameters:
///   - width: D, a multiple of 4.
///   - base: patches a side at the training size.
func positionTable(
  of grid: Grid, width: Int, base: Int, interpolationScale: Double
) throws(SparseDiTError) -> Tensor {
  let half = width / 2
  let quarter = width / 4
  let frequencies = (0..<quarter).map { pow(10_000, -Double($0) / Double(quarter)) }

  // Channels of one axis: `count` positions of `half` values.
  func axis(_ count: Int) -> [Float] {
    let shrink = Float(Double(count) / Double(base))
    var values = [Float](repeating: 0, count: count * half)
    for index in 0..<count {
      let position = Double(Float(index) / shrink / Float(interpolationScale))
      for (channel, frequency) in frequencies.enumerated() {
        values[index * half + channel] = Float(sin(position * frequency))
        values[index * half + quarter + channel] = Float(cos(position * frequency))
      }
    }
    return values
  }

  let columns = axis(grid.width)
  let rows = axis(grid.height)
  var table: [Float] = []
  table.reserveCapacity(grid.count * width)
  for row in 0..<grid.height {
    for column in 0..<grid.width {
      table += columns[column * half..<(column + 1) * half]
      table += rows[row * half..<(row + 1) * half]
    }
  }
  return try Tensor(table, [grid.count, width])
}
