import Tensors

/// Turns files and folders as they are published into one folder that opens by mapping.
///
/// Takes checkpoints of PyTorch (`.bin`, `.pt`, `.pth`; nothing in them is run), safetensors files, and
/// folders of diffusers and transformers; with the names of diffusers, of PixArt's authors, and of
/// DiT's and SparseDiT's. docs/import.md says what is taken from where.
///
/// ```swift
/// let model = try ModelImport(["PixArt-XL-2-512x512.pth", "sd-vae-ft-ema", "t5-v1_1-xxl"])
/// try model.write(to: "PixArt-512")
/// ```
///
/// Making a value reads names, shapes and configurations and finds every mistake; weights are read
/// while they are written, a few MiB at a time. The sources must not change meanwhile. A value may be
/// used from any thread.
public struct ModelImport: Sendable {
  /// Where a part of the model comes from.
  public struct Part: Sendable, Hashable {
    /// Its folder in the result: `transformer`, `text_encoder`, `tokenizer`, `vae` or `scheduler`.
    public let folder: String
    /// The file or folder that it was found in; nil for a scheduler that no source has, which is then
    /// the family's own.
    public let source: String?
  }

  /// How far a ``write(to:control:onProgress:)`` is.
  public struct Progress: Sendable, Hashable {
    /// Bytes written, and bytes in all.
    public let bytes: Int
    public let totalBytes: Int
  }

  private let plan: ImportPlan

  /// Where each part comes from.
  public var parts: [Part] {
    plan.origins.map { Part(folder: $0.part.rawValue, source: $0.origin) }
  }

  /// Size of the folder that is to be written.
  public var byteCount: Int { plan.byteCount }

  /// Finds the parts of a model.
  ///
  /// - Parameter sources: files and folders. The first that has a part gives it.
  /// - Throws: `notFound`, `invalidData` and `unsupported` naming the file, tensor or key that is
  ///   wrong, or the parts that do not fit together; `invalidArgument` for parts that no source has
  ///   and for what has to be said because no file says it.
  public init(
    _ sources: [String], options: ImportOptions = ImportOptions()
  ) throws(SparseDiTError) {
    try options.check()
    // Not on the caller's thread: its stack may be small, and its rounding another.
    plan = try ComputeThread().sync { () throws(SparseDiTError) in
      let plan = try ImportPlan(ImportSources(sources, variant: options.variant), options)
      try plan.check(name: "the imported model")
      return plan
    }
  }

  /// Writes the folder, whole or not at all: it takes its name when everything is on disk. The same
  /// sources and options give the same bytes.
  ///
  /// - Parameters:
  ///   - path: a folder that is not there yet, or an empty one. Its own folder must be there.
  ///   - control: cancels from any thread, within a few MiB.
  ///   - onProgress: called now and then on the calling thread; returning false cancels.
  /// - Throws: `cannotWrite`; `busy` while another import writes to the same path; `cancelled`;
  ///   `unsupported` naming a tensor with a number that f16 cannot hold.
  public func write(
    to path: String, control: RunControl = RunControl(),
    onProgress: (Progress) -> Bool = { _ in true }
  ) throws(SparseDiTError) {
    let cancellation = control.cancellation
    try cancellation.check()
    let thread = try ComputeThread()
    try thread.sync { () throws(SparseDiTError) in
      let folder = try FolderWriter(path)
      try folder.checkRoom(byteCount)
      try write(to: folder) { progress throws(SparseDiTError) in
        try cancellation.check()
        var goesOn = true
        thread.callBack { goesOn = onProgress(progress) }
        if !goesOn { throw .cancelled }
      }
      try cancellation.check()
      try folder.finish()
    }
  }

  /// - Parameter step: called after each piece.
  private func write(
    to folder: FolderWriter, _ step: (Progress) throws(SparseDiTError) -> Void
  ) throws(SparseDiTError) {
    let total = byteCount
    var done = 0
    for file in plan.files {
      try folder.write(file.path) { write throws(SparseDiTError) in
        try file.write { bytes throws(SparseDiTError) in
          try write(bytes)
          done += bytes.count
          try step(Progress(bytes: done, totalBytes: total))
        }
      }
    }
  }
}

extension ImportPlan.File {
  /// Hands out the bytes of the file in pieces.
  fileprivate func write(
    _ body: (UnsafeRawBufferPointer) throws(SparseDiTError) -> Void
  ) throws(SparseDiTError) {
    switch content {
    case .copy(let file): try body(file.bytes)
    case .weights(let layout): try layout.write(body)
    case .text(let text):
      let bytes = Array(text.utf8)
      let storage = try Storage(allocating: bytes.count)
      UnsafeMutableRawBufferPointer(start: storage.base, count: bytes.count).copyBytes(from: bytes)
      try body(UnsafeRawBufferPointer(start: storage.base, count: bytes.count))
      withExtendedLifetime(storage) {}
    }
  }
}
