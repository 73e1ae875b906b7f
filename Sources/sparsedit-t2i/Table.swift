import Glibc
import SparseDiT

/// Rows of cells as a Markdown table whose columns also line up in a terminal: the first to the
/// left, the others to the right.
struct Table {
  private let header: [String]
  private var rows: [[String]] = []

  init(_ header: String...) { self.header = header }

  mutating func add(_ cells: String...) { rows.append(cells) }

  var text: String {
    let widths = header.indices.map { column in
      ([header] + rows).map { $0[column].count }.max() ?? 0
    }
    func line(_ cells: [String]) -> String {
      let padded = zip(cells, widths).enumerated().map { column, cell in
        let space = String(repeating: " ", count: cell.1 - cell.0.count)
        return column == 0 ? cell.0 + space : space + cell.0
      }
      return "| " + padded.joined(separator: " | ") + " |\n"
    }
    let rule = widths.enumerated().map { column, width in
      String(repeating: "-", count: width + 1) + (column == 0 ? "-" : ":")
    }
    return line(header) + "|" + rule.joined(separator: "|") + "|\n" + rows.map(line).joined()
  }
}

/// A number with that many digits after the point.
func decimal(_ value: Double, _ digits: Int) -> String {
  let scale = pow(10, Double(digits))
  let scaled = Int(clamping: abs(value) * scale)
  let fraction = String(scaled % Int(scale))
  let zeros = String(repeating: "0", count: max(digits - fraction.count, 0))
  let sign = value < 0 && scaled > 0 ? "-" : ""
  return sign + "\(scaled / Int(scale))" + (digits > 0 ? "." + zeros + fraction : "")
}

/// 10⁹ of something, with four significant digits.
func billions(_ value: Double) -> String {
  let billions = value / 1e9
  let magnitude = billions > 0 ? Int(log10(billions).rounded(.down)) : 0
  return decimal(billions, min(max(3 - magnitude, 0), 6))
}

/// Bytes in the unit that suits.
func bytes(_ count: Double) -> String {
  count < 1e9 ? decimal(count / 1e6, count < 1e8 ? 1 : 0) + " MB" : decimal(count / 1e9, 2) + " GB"
}

/// How far a number is from another, in percent of that.
func deviation(_ value: Double, from other: Double) -> String {
  let percent = 100 * (value / other - 1)
  return (percent < 0 ? "" : "+") + decimal(percent, 1) + " %"
}
