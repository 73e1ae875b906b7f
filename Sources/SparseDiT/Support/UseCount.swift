import Synchronization

/// Counts how often something was done: what a test of "once" is held against, as ``WorkCount`` is for
/// what is multiplied.
package final class UseCount: Sendable {
  private let count = Atomic(0)

  package init() {}

  package var value: Int { count.load(ordering: .relaxed) }
  func add() { count.add(1, ordering: .relaxed) }
}
