import CKernels

/// Runs the operations of one pipeline: its threads, its precision, its scratch memory.
///
/// Not thread-safe: one per pipeline handle, used on its ``ComputeThread``. All operations throw
/// `outOfMemory` when their result or scratch would not fit, and `internalFailure` when shapes
/// do not go together, which is a mistake of the calling code.
package final class Compute {
  package let threads: Int
  package let precision: Precision
  /// Whether bf16 matrices are multiplied as such; otherwise they are expanded to f32 first.
  package let nativeBF16: Bool
  let workspace: Workspace

  /// - Parameters:
  ///   - threads: OpenMP team size of every operation, at least 1.
  ///   - memoryLimit: most bytes of scratch memory; nil for no limit but the system's.
  ///   - nativeBF16: nil asks the CPU; tests force it (oneDNN emulates bf16 on AVX-512).
  package init(
    threads: Int, precision: Precision, memoryLimit: Int? = nil, nativeBF16: Bool? = nil
  ) throws(SparseDiTError) {
    guard (1...1024).contains(threads) else {
      throw .invalidArgument("threads must be 1 to 1024, not \(threads)")
    }
    if let memoryLimit, memoryLimit < 0 {
      throw .invalidArgument("the memory limit must not be negative, but is \(memoryLimit)")
    }
    self.threads = threads
    self.precision = precision
    self.nativeBF16 = nativeBF16 ?? Self.cpuHasBF16
    workspace = Workspace(limit: memoryLimit)
  }

  package static var cpuHasBF16: Bool { ck_cpu_has_bf16() }

  /// What inputs of matrix products are stored as.
  package var activationDType: DType { precision == .bf16 && nativeBF16 ? .bf16 : .f32 }

  /// Most bytes of scratch memory in use at one time so far.
  package var peakBytes: Int { workspace.peakBytes }
  /// Bytes of scratch memory in use by tensors now.
  package var liveBytes: Int { workspace.liveBytes }

  /// A contiguous tensor of scratch memory, not initialised, 64-byte aligned.
  package func empty(_ shape: Shape, _ dtype: DType) throws(SparseDiTError) -> Tensor {
    Tensor(
      storage: try workspace.storage(shape.count * dtype.byteCount), shape: shape, dtype: dtype)
  }

  /// Refuses shapes that do not go together.
  func require(
    _ condition: Bool, _ operation: StaticString, _ tensors: Tensor?...
  ) throws(SparseDiTError) {
    guard condition else {
      let shapes = tensors.compactMap { $0.map { "\($0.shape) \($0.dtype)" } }
      throw .internalFailure(
        "\(operation): shapes do not go together: " + shapes.joined(separator: ", "))
    }
  }
}
