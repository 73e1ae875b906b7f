import Tensors

/// How models are to be imported, and what neither weights nor configurations tell.
public struct ImportOptions: Sendable {
  /// What weights are stored as.
  public enum Format: String, Sendable, CaseIterable {
    /// Half the size of f32; what the engine uses in place where the processor multiplies it.
    case bf16
    case f32
    /// Converted whenever the folder is opened.
    case f16
  }

  /// PixArt's two generations: 120 and 300 tokens of a prompt.
  public enum Generation: String, Sendable, CaseIterable {
    case alpha, sigma
  }

  public var format: Format
  /// Weights of folders that have them in several, such as `fp16`.
  public var variant: String?
  /// Width and height in pixels of the pictures that the transformer was trained on.
  public var size: Int?
  /// Attention heads of a transformer without a configuration; nil is those of DiT-S, B, L and XL.
  public var heads: Int?
  /// Sparse tokens a side of a SparseDiT of its authors; 8 in their runs.
  public var sparseGrid: Int
  /// Nil where files tell.
  public var generation: Generation?

  public init(
    format: Format = .bf16, variant: String? = nil, size: Int? = nil, heads: Int? = nil,
    sparseGrid: Int = 8, generation: Generation? = nil
  ) {
    self.format = format
    self.variant = variant
    self.size = size
    self.heads = heads
    self.sparseGrid = sparseGrid
    self.generation = generation
  }

  /// - Throws: `invalidArgument` for a value out of range.
  func check() throws(SparseDiTError) {
    if let size, !(8...32_768).contains(size) || size % 8 != 0 {
      throw .invalidArgument("size \(size) is not a multiple of 8 in 8 to 32768")
    }
    if let heads, !(1...1024).contains(heads) {
      throw .invalidArgument("heads \(heads) are not in 1 to 1024")
    }
    if !(1...1024).contains(sparseGrid) {
      throw .invalidArgument("sparse grid \(sparseGrid) is not in 1 to 1024")
    }
  }
}
