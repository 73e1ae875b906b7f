import CKernels
import COneDNN
import Glibc

/// Runs the operations of one pipeline: its threads, its precision, its scratch memory.
///
/// Not thread-safe: one per pipeline handle, used on its ``ComputeThread``. All operations throw
/// `outOfMemory` when their result or scratch would not fit, and `internalFailure` when shapes
/// do not go together, which is a mistake of the calling code.
///
/// Results do not depend on the number of threads.
package final class Compute {
  /// Threads that every operation may use: the one that calls it, and workers beside it.
  package let threads: Int
  package let precision: Precision
  /// Whether bf16 matrices are multiplied as such; otherwise their blocks are expanded to f32 first.
  package let nativeBF16: Bool
  /// Counts what is multiplied while it is not nil.
  package var workCount: WorkCount?
  let workspace: Workspace
  let oneDNN: OneDNN
  let team: ck_team

  /// Most bytes of scratch memory that a thread's block of a product or of attention takes: 512 KiB of
  /// scores or of f32 sums, or 1 MiB of expanded weights, and what oneDNN works in.
  package static let bytesPerThread = 2 << 20

  /// Threads that there can be.
  package static let threadCounts = 1...1024

  /// - Throws: `invalidArgument` for a number of threads that there cannot be.
  package static func check(threads: Int) throws(SparseDiTError) {
    guard threadCounts.contains(threads) else {
      throw .invalidArgument(
        "threads must be \(threadCounts.lowerBound) to \(threadCounts.upperBound), not \(threads)")
    }
  }

  /// Starts the team's workers, which live as long as this does.
  ///
  /// - Parameters:
  ///   - threads: that every operation may use, in ``threadCounts``.
  ///   - memoryLimit: most bytes of scratch memory; nil for no limit but the system's.
  ///   - nativeBF16: nil for what is fast on this CPU; tests force it (oneDNN emulates bf16 on AVX-512).
  /// - Throws: `outOfMemory` when the system refuses the threads; `unsupported` below AVX2.
  package convenience init(
    threads: Int, precision: Precision, memoryLimit: Int? = nil, nativeBF16: Bool? = nil
  ) throws(SparseDiTError) {
    try self.init(
      threads: threads, precision: precision, memoryLimit: memoryLimit, nativeBF16: nativeBF16,
      level: CPULevel.inUse.kernels)
  }

  /// - Parameter level: instruction set of our own kernels; tests go through all of them.
  init(
    threads: Int, precision: Precision, memoryLimit: Int? = nil, nativeBF16: Bool? = nil,
    level: ck_level
  ) throws(SparseDiTError) {
    try Self.check(threads: threads)
    if let memoryLimit, memoryLimit < 0 {
      throw .invalidArgument("the memory limit must not be negative, but is \(memoryLimit)")
    }
    var team = ck_team()
    let status = ck_team_start(Int32(threads), level, dn_begin_thread, &team)
    guard status == 0 else {
      throw .outOfMemory(
        "cannot start \(threads) compute threads, only \(team.threads):"
          + " \(String(cString: strerror(status)))")
    }
    do throws(SparseDiTError) {
      oneDNN = try OneDNN(team)
    } catch {
      ck_team_end(team)
      throw error
    }
    self.team = team
    self.threads = threads
    self.precision = precision
    self.nativeBF16 = nativeBF16 ?? CPULevel.inUse.hasBF16
    workspace = Workspace(limit: memoryLimit)
  }

  deinit { ck_team_end(team) }

  /// What inputs of matrix products are stored as.
  package var activationDType: DType { precision == .bf16 && nativeBF16 ? .bf16 : .f32 }

  /// Which kernels of oneDNN have been chosen since this was last asked, with the sizes of the blocks
  /// that they compute: such as "linear 128×192→576 f32: brg:avx512_core".
  package func takeKernels() -> [String] { oneDNN.takeKernels() }

  /// Most bytes of scratch memory in use at one time so far.
  package var peakBytes: Int { workspace.peakBytes }
  /// Most bytes of scratch memory taken from the system at one time so far: in use, or kept for the
  /// next operation.
  package var heldPeakBytes: Int { workspace.heldPeakBytes }
  /// Bytes that scratch memory may fill up with what is kept, beside what is in use: the most that the
  /// work at hand needs at a time. Nil to keep everything.
  package var scratchAllowance: Int? {
    get { workspace.allowance }
    set { workspace.allowance = newValue }
  }
  /// Bytes of it that packed weights take, which stay for the next request.
  package var packedBytes: Int { workspace.lastingBytes }
  /// Bytes of scratch memory in use by tensors now.
  package var liveBytes: Int { workspace.liveBytes }

  /// A contiguous tensor of scratch memory, not initialised, 64-byte aligned.
  package func empty(_ shape: Shape, _ dtype: DType) throws(SparseDiTError) -> Tensor {
    Tensor(
      storage: try workspace.storage(shape.count * dtype.byteCount), shape: shape, dtype: dtype)
  }

  /// Refuses shapes and types that do not go together.
  func require(
    _ condition: Bool, _ operation: StaticString, _ tensors: Tensor?...
  ) throws(SparseDiTError) {
    guard condition else {
      let shapes = tensors.compactMap { $0.map { "\($0.shape) \($0.dtype)" } }
      throw .internalFailure(
        "\(operation): tensors do not go together: " + shapes.joined(separator: ", "))
    }
  }
}

extension Tensor {
  /// As the kernels see it.
  var kernelRows: ck_rows {
    ck_rows(data: pointer, stride: rowStride, type: dtype.kernelType)
  }

  var isFloat: Bool { dtype == .f32 || dtype == .bf16 || dtype == .f16 }

  /// Address of the first element of an f32 tensor.
  var floatPointer: UnsafePointer<Float> {
    UnsafePointer(pointer.assumingMemoryBound(to: Float.self))
  }

  /// Whether this is f32 rows of `columns`: one for all, or one for each of `groups`.
  func isGroupRows(_ groups: Int, _ columns: Int) -> Bool {
    dtype == .f32 && shape.columns == columns && (shape.rows == 1 || shape.rows == groups)
  }

  /// Elements from one group's row to the next: none when all share it.
  var groupStride: Int { shape.rows == 1 ? 0 : rowStride }
}

extension DType {
  /// Only for float types: callers check ``Tensor/isFloat``.
  var kernelType: ck_type {
    switch self {
    case .f16: ck_f16
    case .bf16: ck_bf16
    case .f32, .i32, .u8: ck_f32
    }
  }
}
