import Synchronization

/// The scratch memory of one pipeline: blocks come from the system once and are then handed out
/// again and again, so that a denoising step allocates nothing.
///
/// Counts what it holds and refuses to exceed its limit. Safe from any thread: the last reference
/// to a tensor may be dropped anywhere.
final class Workspace: Sendable {
  private struct State {
    /// Free blocks by their size.
    var free: [Int: [MemoryBlock]] = [:]
    /// Bytes in use by tensors, and their highest value so far.
    var live = 0
    var peak = 0
    /// Bytes taken from the system: in use or kept for the next request.
    var held = 0
  }

  private let state = Mutex(State())
  /// Most bytes ever held; nil when only the system sets the limit.
  let limit: Int?

  init(limit: Int?) { self.limit = limit }

  deinit { releaseFree() }

  var liveBytes: Int { state.withLock { $0.live } }
  var peakBytes: Int { state.withLock { $0.peak } }

  /// A block of at least `byteCount` bytes that comes back when the storage is let go of.
  func storage(_ byteCount: Int) throws(SparseDiTError) -> Storage {
    let block = try take(Self.rounded(byteCount))
    return Storage(base: block.base, byteCount: byteCount) { _ in self.giveBack(block) }
  }

  /// Returns to the system what no tensor uses.
  func releaseFree() {
    let blocks = state.withLock { state in
      let blocks = state.free.values.flatMap { $0 }
      state.free = [:]
      state.held -= blocks.reduce(0) { $0 + $1.byteCount }
      return blocks
    }
    for block in blocks { block.free() }
  }

  private func take(_ size: Int) throws(SparseDiTError) -> MemoryBlock {
    if let block = reuse(size) { return block }
    if !reserve(size) {
      // Sizes changed (another resolution, say): what lies idle makes room first.
      releaseFree()
      guard reserve(size) else {
        throw .outOfMemory(
          "\(size) more bytes of scratch memory would exceed the limit of \(limit ?? 0) bytes "
            + "(\(liveBytes) in use)")
      }
    }
    do {
      return try MemoryBlock.allocate(size)
    } catch {
      state.withLock {
        $0.held -= size
        $0.live -= size
      }
      throw error
    }
  }

  private func reuse(_ size: Int) -> MemoryBlock? {
    state.withLock { state in
      guard let block = state.free[size]?.popLast() else { return nil }
      state.live += size
      state.peak = max(state.peak, state.live)
      return block
    }
  }

  /// Counts a block that is about to be allocated; false when it would exceed the limit.
  private func reserve(_ size: Int) -> Bool {
    state.withLock { state in
      if let limit, size > limit - state.held { return false }
      state.held += size
      state.live += size
      state.peak = max(state.peak, state.live)
      return true
    }
  }

  private func giveBack(_ block: MemoryBlock) {
    state.withLock { state in
      state.live -= block.byteCount
      state.free[block.byteCount, default: []].append(block)
    }
  }

  /// Sizes in steps of an eighth of a power of two: nearly equal requests share blocks, and at
  /// most an eighth is wasted.
  static func rounded(_ byteCount: Int) -> Int {
    guard byteCount > 512 else { return max((byteCount + 63) & ~63, 64) }
    let step = 1 << (Int.bitWidth - byteCount.leadingZeroBitCount - 4)
    let (sum, overflow) = byteCount.addingReportingOverflow(step - 1)
    return overflow ? byteCount : sum & ~(step - 1)
  }
}
