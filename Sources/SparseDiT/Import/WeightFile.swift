import Tensors

/// The tensors of one file, whatever its form: told by its content, not by its name.
enum WeightFile {
  /// - Parameter name: what messages call the file.
  /// - Throws: `notFound`; `invalidData` and `unsupported` naming what is wrong with the file.
  static func read(_ path: String, name: String) throws(SparseDiTError) -> [SourceTensor] {
    let file = try FileBytes(mapping: path, name: name)
    if TorchFile.begins(file) { return try TorchFile(file).weights() }
    if let other = other(file) { throw .unsupported("\(name): \(other)") }
    return try SafetensorsFile(file: file).sourceTensors()
  }

  /// What a file is that is neither of the forms that are read; nil where that cannot be told.
  private static func other(_ file: FileBytes) -> String? {
    let bytes = file.bytes
    if bytes.starts(with: [0x80]), bytes.count > 1, bytes[1] <= 5 {
      return "is a pickle that torch.save did not write"
    }
    if bytes.starts(with: "GGUF".utf8) { return "is a GGUF file, which is not supported" }
    if bytes.starts(with: [0x1F, 0x8B]) { return "is compressed: unpack it first" }
    if bytes.count > 262, bytes[257..<262].elementsEqual("ustar".utf8) {
      return "is a tar file, as PyTorch wrote them before 0.1.10: save it again with a newer one"
    }
    if bytes.starts(with: "<!DOCTYPE".utf8) || bytes.starts(with: "<html".utf8) {
      return "is a web page: the download went wrong"
    }
    if bytes.starts(with: "version https://git-lfs".utf8) {
      return "only points to the file (Git LFS): download the file itself"
    }
    return nil
  }
}
