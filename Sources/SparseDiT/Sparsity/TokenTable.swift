import Tensors

/// How many tokens the sparse blocks keep, by timestep, in place of a formula: each row holds from
/// its timestep up to the next row's.
public struct TokenTable: Sendable, Hashable, CustomStringConvertible {
  /// What a row asks for.
  public enum Density: Sendable, Hashable {
    /// A pruning rate in [0, 1), which works on any picture.
    case rate(Double)
    /// A grid of sparse tokens, each side at least 1 and at most the picture's.
    case grid(height: Int, width: Int)
  }

  public struct Row: Sendable, Hashable {
    /// Training timestep, 0 = data.
    public let timestep: Int
    public let density: Density

    public init(timestep: Int, density: Density) {
      self.timestep = timestep
      self.density = density
    }

    /// Timestep and rate, or timestep, height and width; nil where a fraction makes no sense.
    fileprivate init?(_ numbers: [Double]) {
      guard let timestep = Int(exactly: numbers[0]) else { return nil }
      self.timestep = timestep
      guard numbers.count == 3 else {
        density = .rate(numbers[1])
        return
      }
      guard let height = Int(exactly: numbers[1]), let width = Int(exactly: numbers[2]) else {
        return nil
      }
      density = .grid(height: height, width: width)
    }
  }

  /// By rising timestep, the first at 0.
  public let rows: [Row]

  /// - Throws: `invalidArgument` naming the first row that is out of range or order.
  public init(_ rows: [Row]) throws(SparseDiTError) {
    guard let first = rows.first, first.timestep == 0 else {
      let start = rows.first.map { "begins at timestep \($0.timestep)" } ?? "is empty"
      throw .invalidArgument("the token table \(start); its first row must be at timestep 0")
    }
    for (row, next) in zip(rows, rows.dropFirst()) where next.timestep <= row.timestep {
      throw .invalidArgument(
        "the token table is not in order: timestep \(next.timestep) after \(row.timestep)")
    }
    for row in rows { try Self.check(row) }
    self.rows = rows
  }

  /// Reads `{"table": [[0, 0.44], [250, 0.5], [500, 10, 6]]}`: a row is timestep and rate, or
  /// timestep, height and width of the grid.
  ///
  /// - Throws: `notFound`, or `invalidData` naming the file and what is wrong in it.
  public init(contentsOf path: String) throws(SparseDiTError) {
    let file = try ConfigObject(file: FileBytes(mapping: path, name: path))
    if let key = file.keys.first(where: { $0 != "table" }) {
      throw .unsupported("\(path): unknown key \(JSONValue.quoted(key)) beside \"table\"")
    }
    try self.init(file)
  }

  /// From the key `table` of a configuration.
  init(_ config: ConfigObject) throws(SparseDiTError) {
    var rows: [Row] = []
    for (index, numbers) in try config.rows("table", columns: 2...3).enumerated() {
      guard let row = Row(numbers) else {
        throw .invalidData(
          "\(config.name): table[\(index)]: timestep, height and width must be whole numbers")
      }
      rows.append(row)
    }
    do throws(SparseDiTError) {
      try self.init(rows)
    } catch .invalidArgument(let message) {
      throw .invalidData("\(config.name): \(message)")
    }
  }

  private static func check(_ row: Row) throws(SparseDiTError) {
    switch row.density {
    case .rate(let rate):
      // Written so that NaN fails too.
      guard rate >= 0, rate < 1 else {
        throw .invalidArgument(
          "the token table's rate \(rate) at timestep \(row.timestep) is not in [0, 1)")
      }
    case .grid(let height, let width):
      guard height >= 1, width >= 1 else {
        throw .invalidArgument(
          "the token table's grid \(height)×\(width) at timestep \(row.timestep) has less than one"
            + " token")
      }
    }
  }

  /// - Parameter trainTimesteps: T, the number of training timesteps.
  /// - Throws: `invalidArgument` for a row that is not below them.
  func check(trainTimesteps: Int) throws(SparseDiTError) {
    guard let row = rows.last, row.timestep >= trainTimesteps else { return }
    throw .invalidArgument(
      "the token table's timestep \(row.timestep) is not below the \(trainTimesteps) of the training"
    )
  }

  /// The same for a table that stands in a file.
  ///
  /// - Throws: `invalidData` naming the file.
  package func check(trainTimesteps: Int, file: String) throws(SparseDiTError) {
    do throws(SparseDiTError) {
      try check(trainTimesteps: trainTimesteps)
    } catch .invalidArgument(let message) {
      throw .invalidData("\(file): \(message)")
    }
  }

  /// What holds at timestep `t`; below 0, the first row's.
  func density(at t: Double) -> Density {
    (rows.last { Double($0.timestep) <= t } ?? rows[0]).density
  }

  /// Such as "0: 0.44, 250: 10×6".
  public var description: String {
    rows.map { row in
      switch row.density {
      case .rate(let rate): "\(row.timestep): \(rate)"
      case .grid(let height, let width): "\(row.timestep): \(height)×\(width)"
      }
    }.joined(separator: ", ")
  }
}
