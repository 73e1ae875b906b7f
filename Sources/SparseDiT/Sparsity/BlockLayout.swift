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
