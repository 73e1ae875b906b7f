import Glibc

/// A piece of memory that tensors share. Weights lie in a mapped file that `release` keeps alive;
/// scratch goes back to where it came from when the last tensor lets go of it.
public final class Storage: @unchecked Sendable {
  // Unchecked: weights are never written after loading, and scratch is only touched by the
  // thread that runs its pipeline.
  public let base: UnsafeMutableRawPointer
  public let byteCount: Int
  private let release: (@Sendable (UnsafeMutableRawPointer) -> Void)?

  /// - Parameter release: called once with `base` when nothing uses the memory any more; what it
  ///   captures lives as long as the storage.
  public init(
    base: UnsafeMutableRawPointer, byteCount: Int,
    release: (@Sendable (UnsafeMutableRawPointer) -> Void)?
  ) {
    self.base = base
    self.byteCount = byteCount
    self.release = release
  }

  /// Memory of its own, 64-byte aligned, not initialised.
  ///
  /// - Throws: `outOfMemory` naming the size when the system has not that much to give.
  public convenience init(allocating byteCount: Int) throws(SparseDiTError) {
    let block = try MemoryBlock.allocate(byteCount)
    self.init(base: block.base, byteCount: byteCount) { _ in block.free() }
  }

  deinit { release?(base) }
}

/// Memory taken from the system: from the heap when small; its own mapping when large, so that
/// freeing it gives the pages back at once.
struct MemoryBlock: @unchecked Sendable {
  // Unchecked: a plain address; who may touch the memory is the holder's business.
  let base: UnsafeMutableRawPointer
  let byteCount: Int

  /// Every block starts at a multiple of this: one cache line, one AVX-512 register.
  static let alignment = 64
  private static let mappedFrom = 256 << 10

  static func allocate(_ byteCount: Int) throws(SparseDiTError) -> MemoryBlock {
    let failure = SparseDiTError.outOfMemory("the system refused \(byteCount) bytes of memory")
    guard byteCount >= 0 else { throw failure }
    if byteCount >= mappedFrom {
      try ProcessMemory.check(byteCount, for: "a tensor")
      let memory = mmap(
        nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard let memory, memory != MAP_FAILED else { throw failure }
      // Fewer page faults and TLB misses on first use; refusal does no harm.
      _ = madvise(memory, byteCount, MADV_HUGEPAGE)
      return MemoryBlock(base: memory, byteCount: byteCount)
    }
    var memory: UnsafeMutableRawPointer?
    guard posix_memalign(&memory, alignment, max(byteCount, 1)) == 0, let memory else {
      throw failure
    }
    return MemoryBlock(base: memory, byteCount: byteCount)
  }

  func free() {
    if byteCount >= Self.mappedFrom {
      munmap(base, byteCount)
    } else {
      Glibc.free(base)
    }
  }
}
