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

  /// The rows of the paper's tables, named by backbone, picture size and the percentage of
  /// multiply-accumulates that they save.
  public static let paper: [(name: String, min: Double, max: Double)] = PaperRow.all.map { row in
    (row.name, row.rates.min, row.rates.max)
  }
}
