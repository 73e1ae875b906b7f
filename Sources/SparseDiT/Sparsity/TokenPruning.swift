import Tensors

/// What decides the sparse grid of each step.
package enum TokenPruning: Sendable, Hashable {
  case schedule(TokenSchedule)
  case table(TokenTable)

  /// The sparse grid for a picture of `dense` tokens at training timestep `t`.
  ///
  /// - Throws: `invalidArgument` for a grid with more tokens a side than the picture has.
  package func grid(of dense: Grid, at t: Double) throws(SparseDiTError) -> Grid {
    switch self {
    case .schedule(let schedule):
      return TokenSchedule.sparseGrid(of: dense, rate: schedule.rate(at: t))
    case .table(let table):
      switch table.density(at: t) {
      case .rate(let rate): return TokenSchedule.sparseGrid(of: dense, rate: rate)
      case .grid(let height, let width):
        guard height <= dense.height, width <= dense.width else {
          throw .invalidArgument(
            "the token table's grid \(height)×\(width) at timestep \(t) is larger than the"
              + " picture's, \(dense.height)×\(dense.width)")
        }
        return Grid(height: height, width: width)
      }
    }
  }
}
