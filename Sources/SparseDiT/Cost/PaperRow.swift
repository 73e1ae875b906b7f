import Tensors

/// A row of SparseDiT's tables of costs (arXiv 2412.06028): what the paper measured, to hold our
/// counting against.
package struct PaperRow: Sendable {
  /// The row by backbone, picture size and the percentage of multiply-accumulates that it saves.
  package let name: String
  /// See ``PublishedModel/names``.
  package let backbone: String
  /// Side of the picture in pixels.
  package let size: Int
  package let rates: (min: Double, max: Double)
  /// Multiply-accumulates of a forward, in 10⁹: dense, and sparse on average over the steps.
  package let dense: Double
  package let sparse: Double
  /// Pictures per second on a GPU, sparse ÷ dense.
  package let throughput: Double
  /// Whether the paper says how the blocks of this row are divided.
  package let hasKnownLayout: Bool

  /// The row counted again, with the schedule in four pieces that the paper trained with.
  package func counted(format: NumberFormat) throws(SparseDiTError) -> CostBreakdown {
    let request = GenerationRequest(
      width: size, height: size, sparsity: .rates(min: rates.min, max: rates.max),
      tokenSchedule: .quarters)
    return CostBreakdown(
      try ModelOutline(PublishedModel(named: backbone)).plan(request, format: format))
  }

  package static let all = [
    PaperRow(
      name: "b-256-38", backbone: "DiT-B/2", size: 256, rates: (0.61, 0.86), dense: 23.01,
      sparse: 14.34, throughput: 1.68, hasKnownLayout: false),
    PaperRow(
      name: "xl-256-25", backbone: "DiT-XL/2", size: 256, rates: (0.44, 0.61), dense: 118.64,
      sparse: 88.91, throughput: 1.35, hasKnownLayout: false),
    PaperRow(
      name: "xl-256-43", backbone: "DiT-XL/2", size: 256, rates: (0.61, 0.86), dense: 118.64,
      sparse: 68.05, throughput: 1.87, hasKnownLayout: true),
    PaperRow(
      name: "xl-512-46", backbone: "DiT-XL/2", size: 512, rates: (0.61, 0.86), dense: 525,
      sparse: 286, throughput: 2.45, hasKnownLayout: true),
    PaperRow(
      name: "xl-512-55", backbone: "DiT-XL/2", size: 512, rates: (0.90, 0.96), dense: 525,
      sparse: 235, throughput: 2.75, hasKnownLayout: true),
    PaperRow(
      name: "pixart-256-38", backbone: "PixArt-XL/2", size: 256, rates: (0.61, 0.86),
      dense: 148.73, sparse: 91.62, throughput: 1.69, hasKnownLayout: true),
  ]
}
