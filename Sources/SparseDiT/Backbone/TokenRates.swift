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
  public static let paper: [(name: String, min: Double, max: Double)] = [
    ("b-256-38", 0.61, 0.86),
    ("xl-256-25", 0.44, 0.61),
    ("xl-256-43", 0.61, 0.86),
    ("xl-512-46", 0.61, 0.86),
    ("xl-512-55", 0.90, 0.96),
    ("pixart-256-38", 0.61, 0.86),
  ]
}
