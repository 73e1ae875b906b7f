import Tensors

/// Which block sees which tokens in one forward. It is all that the backbone needs to know besides its
/// weights, and all that the counting of costs needs.
package struct BackbonePlan: Sendable, Hashable {
  /// H×W, N tokens.
  package let dense: Grid
  /// h×w, M tokens; equal to `dense` where nothing is sparse.
  package let sparse: Grid
  /// One per block, bottom first.
  package let roles: [BlockRole]

  /// - Parameter sparse: has no effect in a layout without sparse blocks.
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
