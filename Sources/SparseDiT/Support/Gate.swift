import Synchronization
import Tensors

/// Lets one call at a time into a handle, and passes on to it a request to cancel.
///
/// A pipeline has one, and so has a sampler of the C interface.
package final class Gate: Sendable {
  private let inside = Mutex<Cancellation?>(nil)
  /// What messages call the handle: "pipeline".
  private let name: String

  package init(_ name: String) { self.name = name }

  /// Lets a call in, until ``leave()``.
  ///
  /// - Throws: `busy` when another call is inside, also one further up the caller's own stack.
  package func enter(_ call: Cancellation) throws(SparseDiTError) {
    let isFree = inside.withLock { inside in
      guard inside == nil else { return false }
      inside = call
      return true
    }
    guard isFree else { throw .busy("another call on this \(name) is running") }
  }

  /// Ends the call that is inside; true when it had been cancelled. From here on nothing cancels it.
  @discardableResult
  package func leave() -> Bool {
    inside.withLock { inside in
      defer { inside = nil }
      return inside?.isCancelled ?? false
    }
  }

  /// Asks the call that is inside to stop; false when there is none.
  package func cancel() -> Bool {
    inside.withLock { inside in
      inside?.cancel()
      return inside != nil
    }
  }
}

/// A request to stop one call, which any thread may make at any time. It is for good.
package final class Cancellation: Sendable {
  private let requested = Atomic(false)

  package init() {}

  package func cancel() { requested.store(true, ordering: .relaxed) }
  package var isCancelled: Bool { requested.load(ordering: .relaxed) }

  /// - Throws: `cancelled`.
  package func check() throws(SparseDiTError) {
    if isCancelled { throw .cancelled }
  }
}
