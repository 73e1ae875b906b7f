import Tensors

/// Makes the plan of each step of a request: how the blocks are divided, and how many tokens the
/// sparse ones see at which timestep.
package struct BackbonePlanner: Sendable, Hashable {
  package let layout: BlockLayout
  /// Nil where nothing is pruned.
  package let pruning: TokenPruning?

  /// - Parameters:
  ///   - tokenSchedule: how rates follow the timestep; nil is the model's own way, or else linear.
  ///   - timesteps: T, the number of training timesteps.
  /// - Throws: `invalidArgument` for rates, a token schedule or a table that make no sense, or that a dense
  ///   backbone of this depth has no layout for.
  package init(
    _ choice: SparsityChoice, tokenSchedule: TokenScheduleKind? = nil, config: BackboneConfig,
    timesteps: Int = TrainingSchedule.usualTimesteps
  ) throws(SparseDiTError) {
    pruning = try Self.pruning(choice, tokenSchedule, config.sparsity, timesteps: timesteps)
    layout = try Self.layout(for: choice, config)
  }

  private static func pruning(
    _ choice: SparsityChoice, _ schedule: TokenScheduleKind?, _ trained: SparsityConfig?,
    timesteps: Int
  ) throws(SparseDiTError) -> TokenPruning? {
    let rates: TokenRates
    switch (choice, trained?.pruning) {
    case (.rates(let min, let max), _): rates = try TokenRates(min: min, max: max)
    case (.model, .rates(let trainedRates, _)?): rates = trainedRates
    case (.table(let table), _), (.model, .table(let table)?):
      try refuse(schedule, with: "a token table")
      try table.check(trainTimesteps: timesteps)
      return .table(table)
    case (.dense, _), (.model, nil):
      try refuse(schedule, with: "dense tokens")
      return nil
    }
    var kind = TokenScheduleKind.linear
    if case .rates(_, let trainedKind)? = trained?.pruning { kind = trainedKind }
    return .schedule(TokenSchedule(rates: rates, kind: schedule ?? kind, timesteps: timesteps))
  }

  private static func layout(
    for choice: SparsityChoice, _ config: BackboneConfig
  ) throws(SparseDiTError) -> BlockLayout {
    if let trained = config.sparsity { return trained.layout }
    switch choice {
    case .model, .dense: return .dense(depth: config.depth)
    case .rates, .table:
      guard let layout = BlockLayout.sparse(depth: config.depth) else {
        throw .invalidArgument(
          "sparse tokens need a backbone of at least 10 blocks, or one trained sparse;"
            + " this one has \(config.depth)")
      }
      return layout
    }
  }

  private static func refuse(
    _ schedule: TokenScheduleKind?, with other: String
  ) throws(SparseDiTError) {
    guard let schedule else { return }
    throw .invalidArgument(
      "token schedule \(schedule.rawValue): it needs pruning rates, not \(other)")
  }

  /// The plan for a grid of dense tokens at training timestep `t`.
  ///
  /// - Throws: `invalidArgument` when a table asks for more tokens than there are.
  package func plan(for grid: Grid, at t: Double) throws(SparseDiTError) -> BackbonePlan {
    BackbonePlan(layout: layout, dense: grid, sparse: try pruning?.grid(of: grid, at: t) ?? grid)
  }
}
