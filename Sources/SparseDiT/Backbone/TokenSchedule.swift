import Tensors

/// Pruning rates r = 1 − M/N, the share of tokens that the sparse blocks do without: 0 ≤ min ≤ max < 1.
public struct TokenRates: Sendable, Hashable {
  /// Near the end of denoising, where detail appears.
  public let min: Double
  /// At its start, where the picture is noise.
  public let max: Double

  public init(min: Double, max: Double) throws(SparseDiTError) {
    // Written so that NaN fails too.
    guard min >= 0, min <= max, max < 1 else {
      throw .invalidArgument("pruning rates \(min), \(max): must satisfy 0 <= min <= max < 1")
    }
    self.min = min
    self.max = max
  }
}

/// The pruning rate as a function of the training timestep t (0 = data, `timesteps` = noise):
/// few tokens while the picture is noise, more as detail appears.
///
/// Source: SparseDiT (arXiv 2412.06028), timestep-wise pruning.
package struct TokenSchedule: Sendable, Hashable {
  package enum Kind: String, Sendable, CaseIterable {
    /// `min` below T/4, then a straight line that reaches `max` at T.
    case linear
    /// One constant rate per quarter of T, min + k/3·(max − min), as in training by batches.
    case quarters
    /// (min + max)/2 throughout.
    case constant
  }

  package let rates: TokenRates
  package let kind: Kind
  /// T, the number of training timesteps.
  package let timesteps: Double

  package init(rates: TokenRates, kind: Kind = .linear, timesteps: Int = 1000) {
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
