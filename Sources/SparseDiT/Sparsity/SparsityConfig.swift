import Tensors

/// The `"sparsity"` object of a SparseDiT checkpoint's configuration. Absent keys take the paper's
/// values.
package struct SparsityConfig: Sendable {
  package let layout: BlockLayout
  package let pruning: Pruning
  /// Whether the position table is added again where tokens change density.
  package let positionsAgain: Bool

  /// How many tokens it was trained to keep, at which timestep.
  package enum Pruning: Sendable {
    case rates(TokenRates, TokenScheduleKind)
    /// `"schedule": "table"`, with the rows under `"table"`.
    case table(TokenTable)
  }

  /// nil where a table stands in their place.
  package var rates: TokenRates? {
    if case .rates(let rates, _) = pruning { rates } else { nil }
  }

  /// nil where rates stand in its place.
  package var table: TokenTable? {
    if case .table(let table) = pruning { table } else { nil }
  }

  private static let keys: Set = [
    "poolingformer", "modules", "module_layout", "top", "rates", "schedule", "table",
    "position_embedding_again",
  ]

  init(_ config: ConfigObject) throws(SparseDiTError) {
    if let key = config.keys.first(where: { !Self.keys.contains($0) }) {
      throw .unsupported("\(config.name): unknown key \(JSONValue.quoted(key)) in \"sparsity\"")
    }
    let module =
      config.contains("module_layout")
      ? try config.ints("module_layout", in: 0...1000, count: 4...4) : [1, 3, 1, 1]
    guard module[0] == 1, module[2] == 1 else {
      throw .unsupported("\(config.name): module_layout \(module): must be [1, sparse, 1, dense]")
    }
    layout = BlockLayout(
      poolingformer: try config.int("poolingformer", in: 0...1000, default: 2),
      modules: try config.int("modules", in: 0...1000, default: 4),
      module: SparseDenseTokenModule(sparse: module[1], dense: module[3]),
      top: try config.int("top", in: 0...1000, default: 2))
    pruning = try Self.pruning(config)
    positionsAgain = try config.bool("position_embedding_again", default: false)
  }

  private static func pruning(_ config: ConfigObject) throws(SparseDiTError) -> Pruning {
    let kinds = TokenScheduleKind.allCases.map(\.rawValue)
    let name = try config.string("schedule", oneOf: kinds + ["table"], default: "linear")
    guard let kind = TokenScheduleKind(rawValue: name) else {
      if config.contains("rates") {
        throw .invalidData("\(config.name): sparsity.rates and sparsity.table exclude each other")
      }
      return .table(try TokenTable(config))
    }
    if config.contains("table") {
      throw .invalidData("\(config.name): sparsity.table needs \"schedule\": \"table\"")
    }
    let rates =
      config.contains("rates") ? try config.doubles("rates", count: 2...2) : [0.61, 0.86]
    do throws(SparseDiTError) {
      return .rates(try TokenRates(min: rates[0], max: rates[1]), kind)
    } catch {
      throw .invalidData("\(config.name): sparsity.rates: \(error)")
    }
  }
}
