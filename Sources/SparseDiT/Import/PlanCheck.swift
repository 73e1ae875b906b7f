import Glibc
import Tensors

extension ImportPlan {
  /// Opens the folder that the plan describes as the engine would open it on disk, with zeros for
  /// weights that take no memory: names, shapes, configurations, and what each part hands to the next.
  ///
  /// - Parameter name: what messages call the folder.
  /// - Throws: what opening a model throws; `outOfMemory` when the process may not map as many bytes.
  func check(name: String) throws(SparseDiTError) {
    var contents: [String: UnsafeRawBufferPointer] = [:]
    var maps: [ZeroMap] = []
    for file in files {
      switch file.content {
      case .copy(let copied): contents[file.path] = copied.bytes
      case .text(let text):
        let map = try ZeroMap(Array(text.utf8), byteCount: text.utf8.count)
        maps.append(map)
        contents[file.path] = map.bytes
      case .weights(let layout):
        // f16 would be converted, and that is all that it differs by.
        let layout = try SafetensorsLayout(
          layout.checked, as: layout.format == .f16 ? .f32 : layout.format)
        let map = try ZeroMap(layout.header, byteCount: layout.byteCount)
        maps.append(map)
        contents[file.path] = map.bytes
      }
    }
    let precision: Precision = files.contains { $0.isStored(as: .bf16) } ? .bf16 : .f32
    _ = try LoadedModel(
      ModelFolder(name: name, embedded: contents), precision: precision, memoryLimit: nil)
    withExtendedLifetime(maps) {}
    try checkPositions()
  }

  /// DiT's authors store the table of positions, which must be the one that is computed.
  private func checkPositions() throws(SparseDiTError) {
    for file in files {
      guard case .weights(let layout) = file.content else { continue }
      for tensor in layout.tensors where tensor.name == Self.positions {
        try Self.checkPositions(tensor)
      }
    }
  }

  fileprivate static let positions = "pos_embed"

  private static func checkPositions(_ tensor: SourceTensor) throws(SparseDiTError) {
    guard tensor.shape.rank == 3 else {
      throw .invalidData("\(tensor.place): expected 3 axes, found shape \(tensor.shape)")
    }
    let side = Int(Double(tensor.shape[1]).squareRoot().rounded())
    guard side > 0, side * side == tensor.shape[1], tensor.shape[2] % 4 == 0 else {
      throw .unsupported("\(tensor.place): a position table of shape \(tensor.shape)")
    }
    let computed = try positionTable(
      of: Grid(height: side, width: side), width: tensor.shape[2], base: side,
      interpolationScale: 1
    ).floats()
    var index = 0
    try tensor.forEachPiece { piece throws(SparseDiTError) in
      for value in try piece.kept(as: .f32).floats() {
        // Far above the rounding of f16 and bf16, far below what another table differs by.
        guard abs(value - computed[index]) <= 0.01 else {
          throw .unsupported("\(tensor.place): is not the sin-cos position table of DiT")
        }
        index += 1
      }
    }
  }
}

extension ImportPlan.File {
  fileprivate func isStored(as format: ImportOptions.Format) -> Bool {
    if case .weights(let layout) = content { layout.format == format } else { false }
  }
}

extension SafetensorsLayout {
  /// The tensors that are compared by name and shape alone. The position table is compared by value,
  /// and zeros are none.
  fileprivate var checked: [SourceTensor] {
    tensors.filter { $0.name != ImportPlan.positions }
  }
}

/// Bytes that begin with some that are given and go on with zeros, which take no memory.
private final class ZeroMap {
  let bytes: UnsafeRawBufferPointer

  init(_ start: [UInt8], byteCount: Int) throws(SparseDiTError) {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
    let size = max(byteCount, 1)
    guard let base = mmap(nil, size, PROT_READ, flags, -1, 0), base != MAP_FAILED else {
      throw .outOfMemory("this process may not map \(byteCount) bytes more of memory")
    }
    bytes = UnsafeRawBufferPointer(start: base, count: byteCount)
    // Only what is written to counts as memory.
    guard mprotect(base, start.count, PROT_READ | PROT_WRITE) == 0 else {
      throw .outOfMemory("the system refused \(start.count) bytes of memory")
    }
    UnsafeMutableRawBufferPointer(start: base, count: start.count).copyBytes(from: start)
  }

  deinit {
    if let base = bytes.baseAddress {
      munmap(UnsafeMutableRawPointer(mutating: base), max(bytes.count, 1))
    }
  }
}
