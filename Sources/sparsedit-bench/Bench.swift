import ArgumentParser
import Glibc
import SparseDiT
import Tensors

@main struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sparsedit-bench",
    abstract: "Measures what the engine is made of.",
    subcommands: [
      OperationsCommand.self, PixArtCommand.self, SparsityCommand.self, BusyCommand.self,
      LevelCommand.self,
    ])
}

/// Options that every measurement takes.
struct Settings: ParsableArguments {
  @Option(name: .shortAndLong, help: "Number of threads.")
  var threads = 2

  @Option(help: "f32 or bf16.")
  var precision: Precision = .f32

  @Option(name: .shortAndLong, help: "Runs of each thing; the median counts.")
  var runs = 7

  @Option(help: "Hold oneDNN and our kernels to this CPU level: \(CPULevel.choices).")
  var level: CPULevel?

  @Flag(help: "JSON instead of a table.")
  var json = false

  /// Also limits oneDNN to the level; that must happen before oneDNN is first used.
  func validate() throws {
    guard runs > 0 else { throw ValidationError("--runs must be at least 1") }
    guard let level else { return }
    setenv("ONEDNN_MAX_CPU_ISA", level.rawValue, 1)
    guard CPULevel.inUse == level else {
      throw ValidationError("--level \(level.rawValue): this CPU has \(CPULevel.inUse.rawValue)")
    }
  }
}

extension CPULevel: ExpressibleByArgument {
  static var choices: String {
    allCases.filter { $0 != .belowAVX2 }.map(\.rawValue).joined(separator: ", ")
  }
}

struct LevelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "level",
    abstract: "The CPU level in use: the CPU's, or what ONEDNN_MAX_CPU_ISA holds it to.")

  func run() { print(CPULevel.inUse.rawValue) }
}

extension Precision: ExpressibleByArgument {}

struct OperationsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ops",
    abstract: "Every operation at the models' shapes, beside the speed of a plain product.",
    discussion: "Behind an operation stand the kernels of oneDNN that it runs.")

  @OptionGroup var settings: Settings

  @Argument(help: "Only what has this in its name.")
  var filter = ""

  func run() throws {
    let settings = settings
    let filter = filter
    let results = try ComputeThread().sync { () throws(SparseDiTError) in
      try Self.measure(settings, filter)
    }
    for result in results { print(settings.json ? result.json : result.row) }
  }

  private static func measure(
    _ settings: Settings, _ filter: String
  ) throws(SparseDiTError) -> [Measurement] {
    let compute = try Compute(threads: settings.threads, precision: settings.precision)
    let side = 1536
    let square = Linear(
      weight: try compute.filled([side, side], compute.weightDType), bias: nil)
    let x = try compute.filled([side, side], compute.activationDType)
    let limit = try Measurement(
      OperationCase(
        name: "limit: \(side)³ product", operations: 2 * Double(side * side * side), bytes: 0
      ) { () throws(SparseDiTError) in _ = try compute.linear(x, square, output: .f32) },
      runs: settings.runs, limit: nil, on: compute)
    var results = [limit]
    func add(_ cases: [OperationCase]) throws(SparseDiTError) {
      for entry in cases where filter.isEmpty || entry.name.contains(filter) {
        results.append(
          try Measurement(
            entry, runs: settings.runs, limit: limit.operationsPerSecond, on: compute))
      }
    }
    for sizes in BlockSizes.all { try add(try sizes.cases(on: compute)) }
    for sizes in PictureSizes.all { try add(try sizes.cases(on: compute)) }
    return results
  }
}

/// What a run of an ``OperationCase`` took.
struct Measurement {
  let name: String
  let seconds: Double
  let operationsPerSecond: Double
  let bytesPerSecond: Double
  /// Of oneDNN, without the sizes that they are made for.
  let kernels: [String]
  /// Share of the plain product's speed; nil for what memory limits.
  let share: Double?

  init(
    _ entry: OperationCase, runs: Int, limit: Double?, on compute: Compute
  ) throws(SparseDiTError) {
    name = entry.name
    _ = compute.takeKernels()
    seconds = try median(of: runs, entry.run)
    let names = compute.takeKernels().compactMap { $0.split(separator: ": ").last.map(String.init) }
    kernels = Array(Set(names)).sorted()
    let speed = entry.operations / seconds
    operationsPerSecond = speed
    bytesPerSecond = entry.bytes / seconds
    share = speed > 0 ? limit.map { speed / $0 } : nil
  }

  var row: String {
    let speed =
      operationsPerSecond > 0
      ? "\(tenths(operationsPerSecond / 1e9)) GFLOP/s" : "\(tenths(bytesPerSecond / 1e9)) GB/s"
    let percent = share.map { "  \(Int((100 * $0).rounded())) % of the limit" } ?? ""
    let made = kernels.isEmpty ? "" : "  " + kernels.joined(separator: ", ")
    return "\(name): \(tenths(seconds * 1e6)) µs  \(speed)\(percent)\(made)"
  }

  var json: String {
    "{\"name\": \"\(name)\", \"seconds\": \(seconds), "
      + "\"operations_per_second\": \(operationsPerSecond), "
      + "\"bytes_per_second\": \(bytesPerSecond), \"share\": \(share.map { "\($0)" } ?? "null"), "
      + "\"kernels\": [\(kernels.map { "\"\($0)\"" }.joined(separator: ", "))]}"
  }
}

private func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }

/// Median seconds of `runs` runs after one that warms up.
func median(
  of runs: Int, _ body: () throws(SparseDiTError) -> Void
) throws(SparseDiTError) -> Double {
  try body()
  var seconds: [Double] = []
  for _ in 0..<runs {
    let start = ContinuousClock.now
    try body()
    seconds.append((ContinuousClock.now - start) / .seconds(1))
  }
  return seconds.sorted()[runs / 2]
}
