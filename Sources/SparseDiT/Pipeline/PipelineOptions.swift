import Tensors

/// How a ``Pipeline`` is to be set up.
public struct PipelineOptions: Sendable {
  /// What weights and matrix inputs are stored as; nil is bf16 where the CPU multiplies it
  /// natively, else f32.
  public var precision: Precision?
  /// Threads to compute with, in ``threadCounts``; nil is one per CPU that the process may use.
  public var threads: Int?
  /// Most bytes that the pipeline may hold besides mapped model files; nil is what the machine has
  /// free when a request is made.
  public var memoryLimit: Int?
  /// Receives one line of advice at a time (such as: a dense checkpoint runs sparse without
  /// fine-tuning). May be called from any thread.
  public var log: (@Sendable (String) -> Void)?

  /// Threads that a pipeline can have.
  public static let threadCounts = Compute.threadCounts

  public init(
    precision: Precision? = nil, threads: Int? = nil, memoryLimit: Int? = nil,
    log: (@Sendable (String) -> Void)? = nil
  ) {
    self.precision = precision
    self.threads = threads
    self.memoryLimit = memoryLimit
    self.log = log
  }

  /// - Throws: `invalidArgument` for a value out of range, before anything is loaded.
  func check() throws(SparseDiTError) {
    if let threads { try Compute.check(threads: threads) }
    if let memoryLimit, memoryLimit < 0 {
      throw .invalidArgument("the memory limit must not be negative, but is \(memoryLimit)")
    }
  }
}
