import Tensors

/// What a block does, which decides the tokens that it sees.
package enum BlockRole: Sendable, Hashable {
  /// Dense tokens; attention is their mean (``Poolingformer``).
  case poolingformer
  /// Dense tokens attend to dense tokens (``TransformerBlock``).
  case dense
  /// New sparse tokens attend to dense tokens (``SparseTokenGeneration``).
  case generation
  /// Sparse tokens attend to sparse tokens (``TransformerBlock``).
  case sparse
  /// Dense tokens, merged with the sparse ones, attend to those (``DenseTokenRecovery``).
  case recovery
}

/// The layout of one sparse-dense token module: generation, sparse blocks, recovery, dense blocks.
package struct SparseDenseTokenModule: Sendable, Hashable {
  package let sparse: Int
  package let dense: Int

  var roles: [BlockRole] {
    [.generation] + Array(repeating: .sparse, count: sparse)
      + [.recovery] + Array(repeating: .dense, count: dense)
  }
}

/// How the blocks of a backbone are divided, bottom to top.
package struct BlockLayout: Sendable, Hashable {
  package let poolingformer: Int
  package let modules: Int
  package let module: SparseDenseTokenModule
  package let top: Int

  /// Ordinary blocks only.
  package static func dense(depth: Int) -> BlockLayout {
    BlockLayout(
      poolingformer: 0, modules: 0, module: SparseDenseTokenModule(sparse: 0, dense: 0), top: depth)
  }

  /// The layout in which a checkpoint that was trained dense runs sparse: the paper's, two
  /// Poolingformers and as many modules `[1, 3, 1, 1]` as fit below two ordinary blocks (four at
  /// depth 28); what is left over joins the top. Nil below 10 blocks, where nothing like it fits.
  package static func sparse(depth: Int) -> BlockLayout? {
    let module = SparseDenseTokenModule(sparse: 3, dense: 1)
    let modules = (depth - 4) / module.roles.count
    guard modules >= 1 else { return nil }
    return BlockLayout(
      poolingformer: 2, modules: modules, module: module,
      top: depth - 2 - modules * module.roles.count)
  }

  /// The role of each block, bottom first.
  package var roles: [BlockRole] {
    Array(repeating: .poolingformer, count: poolingformer)
      + Array(repeating: module.roles, count: modules).flatMap { $0 }
      + Array(repeating: .dense, count: top)
  }

  package var depth: Int { poolingformer + modules * (module.sparse + module.dense + 2) + top }
  package var isSparse: Bool { modules > 0 }
}

extension BlockLayout: CustomStringConvertible {
  /// Such as "2 Poolingformers, 4 × [1, 3, 1, 1], 2 on top".
  package var description: String {
    "\(poolingformer) Poolingformer\(poolingformer == 1 ? "" : "s"), "
      + "\(modules) × [1, \(module.sparse), 1, \(module.dense)], \(top) on top"
  }
}

/// Which block sees which tokens in one forward: all that the backbone needs to know beside its
/// weights, and all that cost accounting needs at all.
package struct BackbonePlan: Sendable, Hashable {
  /// H×W, N tokens.
  package let dense: Grid
  /// h×w, M tokens; equal to `dense` where nothing is sparse.
  package let sparse: Grid
  /// One per block, bottom first.
  package let roles: [BlockRole]

  /// - Parameter sparse: of no effect in a layout without sparse blocks.
  package init(layout: BlockLayout, dense: Grid, sparse: Grid) {
    self.dense = dense
    self.sparse = layout.isSparse ? sparse : dense
    roles = layout.roles
  }

  /// Numbers of query and of key tokens of a block's self-attention. A Poolingformer has one row.
  package func tokens(of role: BlockRole) -> (queries: Int, keys: Int) {
    switch role {
    case .poolingformer, .dense: (dense.count, dense.count)
    case .generation: (sparse.count, dense.count)
    case .sparse: (sparse.count, sparse.count)
    case .recovery: (dense.count, sparse.count)
    }
  }
}

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
    timesteps: Int = 1000
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
