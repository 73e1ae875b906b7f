import Synchronization

/// Counts how often something was done, so that a test can tell whether that was once.
package final class UseCount: Sendable {
  private let count = Atomic(0)

  package init() {}

  package var value: Int { count.load(ordering: .relaxed) }
  func add() { count.add(1, ordering: .relaxed) }
}
