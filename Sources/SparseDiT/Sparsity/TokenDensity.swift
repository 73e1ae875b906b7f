import Tensors

/// Says how many tokens the sparse blocks keep at a training timestep of a picture with that grid of
/// tokens, in place of a request's sparsity. What it throws ends the call.
public typealias TokenDensity =
  (_ timestep: Int, _ picture: Grid) throws(SparseDiTError) -> TokenTable.Density

extension TokenTable {
  /// Asks once for each whole timestep.
  ///
  /// - Parameter timesteps: from noise to data.
  /// - Throws: `invalidArgument` for an answer out of range; what `density` throws.
  init(
    asking density: TokenDensity, _ picture: Grid, at timesteps: [Double]
  ) throws(SparseDiTError) {
    var rows: [Row] = []
    for timestep in timesteps {
      let whole = Int(timestep.rounded(.down))
      // Steps of one whole timestep have one answer.
      guard whole != rows.last?.timestep else { continue }
      rows.append(Row(timestep: whole, density: try density(whole, picture)))
    }
    // No step lies below the last one, so its answer can hold from 0 on.
    if let last = rows.popLast() { rows.append(Row(timestep: 0, density: last.density)) }
    try self.init(rows.reversed())
  }
}
