import SparseDiT

/// The costs in SparseDiT's paper, and what we count for the same rows: by the paper's rule and as
/// executed.
struct PaperComparison {
  private let rows: [(paper: PaperRow, counted: CostBreakdown)]

  init(format: NumberFormat) throws(SparseDiTError) {
    rows = try PaperRow.all.map { row throws(SparseDiTError) in
      (row, try row.counted(format: format))
    }
  }

  var text: String {
    var table = Table(
      "backbone", "pixels", "rates", "dense", "counted", "", "sparse", "counted", "", "executed",
      "dense ÷ sparse", "layout")
    for (paper, counted) in rows {
      let (forward, executed) = (counted.forward(.paper), counted.forward(.executed))
      table.add(
        paper.backbone, "\(paper.size)²",
        "\(decimal(paper.rates.min, 2))–\(decimal(paper.rates.max, 2))",
        decimal(paper.dense, 2), billions(forward.dense),
        deviation(forward.dense, from: 1e9 * paper.dense), decimal(paper.sparse, 2),
        billions(forward.sparse), deviation(forward.sparse, from: 1e9 * paper.sparse),
        billions(executed.sparse), decimal(executed.ratio, 2),
        "\(counted.plan.layout)" + (paper.hasKnownLayout ? "" : " (assumed)"))
    }
    return """
      10⁹ multiply-accumulates of a forward, on average over the steps, schedule "quarters":
      as the paper gives them, as we count them by its rule, and as this engine executes them.

      \(table.text)
      """
  }

  var json: String {
    encoded(
      rows.map { paper, counted in
        Row(
          row: paper.name, backbone: paper.backbone, size: paper.size,
          rates: [paper.rates.min, paper.rates.max], layout: CostReport.Layout(counted.plan.layout),
          hasKnownLayout: paper.hasKnownLayout,
          paper: CostReport.Forward(dense: 1e9 * paper.dense, sparse: 1e9 * paper.sparse),
          counted: CostReport.Forward(counted.forward(.paper)),
          executed: CostReport.Forward(counted.forward(.executed)))
      })
  }

  private struct Row: Encodable {
    let row: String
    let backbone: String
    let size: Int
    let rates: [Double]
    let layout: CostReport.Layout
    let hasKnownLayout: Bool
    let paper: CostReport.Forward
    let counted: CostReport.Forward
    let executed: CostReport.Forward
  }
}
