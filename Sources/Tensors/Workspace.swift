import Synchronization

/// The scratch memory of one pipeline: blocks come from the system once and are then handed out
/// again and again, so that a denoising step allocates nothing.
///
/// Counts what it holds and refuses to exceed its limit. Safe from any thread: the last reference
/// to a tensor may be dropped anywhere.
final class Workspace: Sendable {
  private struct State {
    /// Blocks that no tensor uses, the longest idle first.
    var idle: [MemoryBlock] = []
    /// Bytes in use by tensors, and their highest value so far.
    var live = 0
    var peak = 0
    /// Bytes taken from the system, in use or idle, and their highest value so far.
    var held = 0
    var heldPeak = 0
    /// Of the bytes in use, those that stay for the next request.
    var lasting = 0
    var allowance: Int?
  }

  private let state = Mutex(State())
  /// Most bytes ever held; nil when only the system sets the limit.
  let limit: Int?

  init(limit: Int?) { self.limit = limit }

  deinit { release { $0.idle.count } }

  var liveBytes: Int { state.withLock { $0.live } }
  var peakBytes: Int { state.withLock { $0.peak } }
  var heldPeakBytes: Int { state.withLock { $0.heldPeak } }
  var lastingBytes: Int { state.withLock { $0.lasting } }

  /// Bytes that idle blocks may fill up, beside those in use; nil for no bound but the limit.
  var allowance: Int? {
    get { state.withLock { $0.allowance } }
    set {
      state.withLock { $0.allowance = newValue }
      makeRoom(for: 0)
    }
  }

  /// A block of at least `byteCount` bytes that comes back when the storage is let go of.
  func storage(_ byteCount: Int) throws(SparseDiTError) -> Storage {
    let block = try take(Self.rounded(byteCount))
    return Storage(base: block.base, byteCount: byteCount) { _ in self.giveBack(block) }
  }

  /// A block of exactly that many bytes for what serves all requests. It goes back to the system when
  /// the storage is let go of.
  func lastingStorage(_ byteCount: Int) throws(SparseDiTError) -> Storage {
    let block = try allocate(byteCount)
    state.withLock { $0.lasting += byteCount }
    return Storage(base: block.base, byteCount: byteCount) { _ in
      self.state.withLock { state in
        state.lasting -= byteCount
        state.live -= byteCount
        state.held -= byteCount
      }
      block.free()
    }
  }

  private func take(_ size: Int) throws(SparseDiTError) -> MemoryBlock {
    if let block = reuse(size) { return block }
    return try allocate(size)
  }

  private func allocate(_ size: Int) throws(SparseDiTError) -> MemoryBlock {
    makeRoom(for: size)
    guard reserve(size) else {
      throw .outOfMemory(
        "\(size) more bytes of scratch memory would exceed the limit of \(limit ?? 0) bytes "
          + "(\(liveBytes) in use)")
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
      guard let index = state.idle.lastIndex(where: { $0.byteCount == size }) else { return nil }
      state.live += size
      state.peak = max(state.peak, state.live)
      return state.idle.remove(at: index)
    }
  }

  /// Counts a block that is about to be allocated; false when it would exceed the limit.
  private func reserve(_ size: Int) -> Bool {
    state.withLock { state in
      if let limit, size > limit - state.held { return false }
      state.held += size
      state.heldPeak = max(state.heldPeak, state.held)
      state.live += size
      state.peak = max(state.peak, state.live)
      return true
    }
  }

  private func giveBack(_ block: MemoryBlock) {
    state.withLock { state in
      state.live -= block.byteCount
      state.idle.append(block)
    }
  }

  /// Returns idle blocks to the system until `size` more bytes fit in limit and allowance, or none
  /// is left: sizes changed (the next stage, another resolution), and the oldest serve no more.
  private func makeRoom(for size: Int) {
    release { state in
      guard let most = [limit, state.allowance].compactMap({ $0 }).min() else { return 0 }
      var held = state.held
      let kept = state.idle.firstIndex { block in
        if size <= most - held { return true }
        held -= block.byteCount
        return false
      }
      return kept ?? state.idle.count
    }
  }

  /// Returns to the system as many of the longest idle blocks as `count` says.
  private func release(_ count: (borrowing State) -> Int) {
    let blocks = state.withLock { state in
      let blocks = Array(state.idle.prefix(count(state)))
      state.idle.removeFirst(blocks.count)
      state.held -= blocks.reduce(0) { $0 + $1.byteCount }
      return blocks
    }
    for block in blocks { block.free() }
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
