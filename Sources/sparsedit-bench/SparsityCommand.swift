import ArgumentParser
import Glibc
import SparseDiT
import Tensors

struct SparsityCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sparsity",
    abstract: "What sparse tokens save in time per step, beside what they save in computation.",
    discussion: """
      Draws random weights of the sizes that SparseDiT's paper measures, runs dense and sparse \
      forwards in turns and prints a table in Markdown. One thread is timed by the processor time \
      that it uses, which a busy machine disturbs less than the time that passes.
      """)

  @OptionGroup var settings: Settings

  @Option(help: "Rows of the paper, as sparsedit-t2i --rates names them.")
  var rows = "xl-256-43,xl-512-46,xl-512-55,pixart-256-38"

  @Option(help: "Conditions per forward, of the same latents; guidance makes two.")
  var batch = 2

  func run() throws {
    let chosen = try rows.split(separator: ",").map { name in
      guard let row = PaperRow.all.first(where: { $0.name == name }) else {
        let names = PaperRow.all.map(\.name).joined(separator: ",")
        throw ValidationError("--rows: \(name) is not one of \(names)")
      }
      return row
    }
    guard (1...64).contains(batch) else { throw ValidationError("--batch must be 1 to 64") }
    let (settings, batch) = (settings, batch)
    if !settings.json { print(SparsityResult.header) }
    for backbone in Set(chosen.map(\.backbone)).sorted() {
      let rows = chosen.filter { $0.backbone == backbone }
      try ComputeThread().sync { () throws(SparseDiTError) in
        let forwards = try SparseAndDense(backbone, settings, batch: batch)
        for row in rows {
          let result = try forwards.measure(row)
          print(settings.json ? result.json : result.line)
        }
      }
    }
  }
}

/// A backbone of the paper with random weights, as it was trained dense and as it was trained sparse.
private struct SparseAndDense {
  private let dense: Backbone
  private let sparse: Backbone
  private let compute: Compute
  private let condition: Condition<PreparedText, [Int]>
  private let textTokens: Int
  private let batch: Int
  private let runs: Int

  init(_ name: String, _ settings: Settings, batch: Int) throws(SparseDiTError) {
    func backbone(isSparse: Bool) throws(SparseDiTError) -> Backbone {
      let model = try PublishedModel(named: name, isSparse: isSparse)
      return try Backbone(
        randomFor: BackboneConfig(model.backbone), precision: settings.precision)
    }
    textTokens = try PublishedModel(named: name).promptTokens
    dense = try backbone(isSparse: false)
    sparse = try backbone(isSparse: true)
    compute = try Compute(threads: settings.threads, precision: settings.precision)
    self.batch = batch
    runs = settings.runs
    if dense.config.text == nil {
      condition = .classes((0..<batch).map { $0 })
    } else {
      let words = try compute.filled([batch, textTokens, dense.config.textChannels], .f32)
      // Keys and values have the same sizes in both; random ones serve either.
      condition = .text(
        try dense.prepareText(
          words, mask: [Float](repeating: 1, count: batch * textTokens), on: compute))
    }
  }

  /// One way through a backbone.
  private struct Way {
    let backbone: Backbone
    let plan: BackbonePlan
    let modulation: ForwardModulation
  }

  /// Median seconds of a dense step, and of a sparse one in each quarter of the schedule.
  func measure(_ row: PaperRow) throws(SparseDiTError) -> SparsityResult {
    let side = row.size / 8
    // Guidance starts both halves from the same latents.
    let latents = try compute.filled([1, dense.config.inChannels, side, side], .f32)
    let ways = try ways(row, side: side)
    // In turns, so that a slower spell of the machine falls on all of them.
    var modulationSeconds: [Double] = []
    var seconds = [[Double]](repeating: [], count: ways.count)
    for run in 0...runs {
      let modulating = try time { () throws(SparseDiTError) in
        _ = try dense.modulations(at: Self.timesteps, condition, on: compute)
      }
      // The first run of each warms up.
      if run > 0 { modulationSeconds.append(modulating) }
      for (index, way) in ways.enumerated() {
        let forward = try time { () throws(SparseDiTError) in
          _ = try way.backbone.forward(
            latents, way.modulation, condition, plan: way.plan, on: compute)
        }
        if run > 0 { seconds[index].append(forward) }
      }
    }
    let share = modulationSeconds.median / Double(Self.timesteps.count)
    let steps = seconds.map { $0.median + share }
    let costs = ways.map { way in
      let cost = ForwardCost(
        way.backbone.config, batch: batch, sharesLatents: true, textTokens: textTokens,
        format: NumberFormat(compute.precision, activations: compute.activationDType))
      return cost.step(way.plan).multiplyAdds
    }
    return SparsityResult(
      row: row, dense: steps[0], sparse: Array(steps.dropFirst()),
      costRatio: costs[0] / (costs.dropFirst().reduce(0, +) / Double(costs.count - 1)))
  }

  /// As many timesteps as the engine makes modulation for at once.
  private static let timesteps = (0..<StageCosts.stepsAtOnce).map {
    1000 * (Double($0) + 0.5) / Double(StageCosts.stepsAtOnce)
  }

  /// Dense, then sparse in each quarter, from noise to data.
  private func ways(_ row: PaperRow, side: Int) throws(SparseDiTError) -> [Way] {
    let grid = try dense.grid(latentHeight: side, latentWidth: side)
    let planner = try BackbonePlanner(
      .rates(min: row.rates.min, max: row.rates.max), tokenSchedule: .quarters,
      config: sparse.config)
    func way(
      _ backbone: Backbone, _ plan: BackbonePlan, _ timestep: Double
    ) throws(SparseDiTError) -> Way {
      Way(
        backbone: backbone, plan: plan,
        modulation: try backbone.modulations(at: [timestep], condition, on: compute)[0])
    }
    let densePlan = BackbonePlan(
      layout: .dense(depth: dense.config.depth), dense: grid, sparse: grid)
    return try [way(dense, densePlan, 500)]
      + [875.0, 625, 375, 125].map { timestep throws(SparseDiTError) in
        try way(sparse, planner.plan(for: grid, at: timestep), timestep)
      }
  }

  private func time(
    _ body: () throws(SparseDiTError) -> Void
  ) throws(SparseDiTError) -> Double {
    let start = now
    try body()
    return now - start
  }

  private var now: Double {
    var time = timespec()
    clock_gettime(compute.threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }
}

/// What came out for one row of the paper.
private struct SparsityResult {
  let row: PaperRow
  /// Seconds of a forward.
  let dense: Double
  /// In each quarter of the schedule, from noise to data.
  let sparse: [Double]
  /// Multiply-accumulates that the engine executes, dense ÷ sparse.
  let costRatio: Double

  private var average: Double { sparse.reduce(0, +) / Double(sparse.count) }
  private var ratio: Double { dense / average }

  static let header = """
    | backbone | pixels | rates | dense, s | sparse, s | dense ÷ sparse | by computation | of that | \
    paper, GPU |
    |---|---:|---:|---:|---:|---:|---:|---:|---:|
    """

  var line: String {
    let cells = [
      row.backbone, "\(row.size)²", "\(row.rates.min)–\(row.rates.max)", rounded(dense),
      rounded(average), rounded(ratio), rounded(costRatio),
      "\(Int((100 * ratio / costRatio).rounded())) %", rounded(row.throughput),
    ]
    return "| " + cells.joined(separator: " | ") + " |"
  }

  var json: String {
    "{\"row\": \"\(row.name)\", \"dense_seconds\": \(dense), \"sparse_seconds\": \(sparse), "
      + "\"ratio\": \(ratio), \"cost_ratio\": \(costRatio), \"paper_gpu\": \(row.throughput)}"
  }

  private func rounded(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
}

extension [Double] {
  fileprivate var median: Double { sorted()[count / 2] }
}
