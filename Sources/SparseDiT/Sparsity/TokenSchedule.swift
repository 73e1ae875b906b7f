import Tensors

/// How the pruning rate follows the timestep.
public enum TokenScheduleKind: String, Sendable, CaseIterable {
  /// `min` below T/4, then a straight line that reaches `max` at T.
  case linear
  /// One constant rate per quarter of T, min + k/3·(max − min), as in training by batches.
  case quarters
  /// (min + max)/2 throughout.
  case constant
}

/// The pruning rate as a function of the training timestep t (0 = data, `timesteps` = noise):
/// few tokens while the picture is noise, more as detail appears.
///
/// Source: SparseDiT (arXiv 2412.06028), timestep-wise pruning.
package struct TokenSchedule: Sendable, Hashable {
  package let rates: TokenRates
  package let kind: TokenScheduleKind
  /// T, the number of training timesteps.
  package let timesteps: Double

  package init(
    rates: TokenRates, kind: TokenScheduleKind = .linear,
    timesteps: Int = TrainingSchedule.usualTimesteps
  ) {
    self.rates = rates
    self.kind = kind
    self.timesteps = Double(timesteps)
  }

  /// The pruning rate at timestep `t`; t outside 0 … T is taken as the nearer end.
  package func rate(at t: Double) -> Double {
    let t = min(max(t, 0), timesteps)
    switch kind {
    case .constant:
      return (rates.min + rates.max) / 2
    case .quarters:
      let quarter = min(3, (4 * t / timesteps).rounded(.down))
      return rates.min + quarter / 3 * (rates.max - rates.min)
    case .linear:
      if t < timesteps / 4 { return rates.min }
      return ((4 * timesteps - 4 * t) * rates.min + (4 * t - timesteps) * rates.max)
        / (3 * timesteps)
    }
  }

  /// The grid that pruning `dense` at `rate` leaves: each side max(1, round(side·√(1 − rate))),
  /// halves upwards.
  package static func sparseGrid(of dense: Grid, rate: Double) -> Grid {
    let keep = (1 - rate).squareRoot()
    func side(_ count: Int) -> Int { max(1, Int((Double(count) * keep + 0.5).rounded(.down))) }
    return Grid(height: side(dense.height), width: side(dense.width))
  }
}
