import Tensors

extension ModelFolder {
  /// The safetensors files that hold a component's weights, each checked, and together without a
  /// tensor in two of them: those without a variant in their name, or else those of the only variant
  /// that is there, such as `base.fp16.safetensors`.
  func shards(_ subfolder: String, base: String) throws(SparseDiTError) -> [SafetensorsFile] {
    let folder = displayName(subfolder)
    func files(_ ending: String) throws(SparseDiTError) -> WeightFileSet? {
      let names = names(in: subfolder).filter { $0.contains(".\(ending)") }
      return try WeightFileSet(among: names, bases: [base], variant: nil, folder: folder)
    }
    guard let set = try files("safetensors") else {
      if try files("bin") != nil {
        throw .unsupported(
          "\(folder): weights as .bin are not supported (only .safetensors): import them first")
      }
      throw .notFound("\(displayName("\(subfolder)/\(base).safetensors")): does not exist")
    }
    let path = "\(subfolder)/\(set.name)"
    return set.isIndex
      ? try shards(subfolder, index: config(path)) : [try SafetensorsFile(file: read(path))]
  }

  private func shards(
    _ subfolder: String, index: ConfigObject
  ) throws(SparseDiTError) -> [SafetensorsFile] {
    guard let map = try index.object("weight_map") else {
      throw .invalidData("\(index.name): weight_map is missing (expected an object)")
    }
    var tensorsOfShard: [String: [String]] = [:]
    for tensor in map.keys {
      let shard = try map.string(tensor)
      guard Self.isPlainFileName(shard) else {
        throw .invalidData(
          "\(index.name): \(JSONValue.quoted(shard)) is not a file name inside the folder")
      }
      tensorsOfShard[shard, default: []].append(tensor)
    }
    var files: [SafetensorsFile] = []
    for (shard, tensors) in tensorsOfShard.sorted(by: { $0.key < $1.key }) {
      let file = try SafetensorsFile(file: read("\(subfolder)/\(shard)"))
      try checkAgreement(index, shard, tensors, file)
      files.append(file)
    }
    return files
  }

  /// The shard holds exactly the tensors that the index places there.
  private func checkAgreement(
    _ index: ConfigObject, _ shard: String, _ tensors: [String], _ file: SafetensorsFile
  ) throws(SparseDiTError) {
    if let missing = tensors.first(where: { file.entries[$0] == nil }) {
      throw .invalidData(
        "\(index.name): tensor \(JSONValue.quoted(missing)) is not in \(JSONValue.quoted(shard))")
    }
    let placed = Set(tensors)
    if let extra = file.entries.keys.filter({ !placed.contains($0) }).min() {
      throw .invalidData(
        "\(file.file.name): tensor \(JSONValue.quoted(extra)) is not placed there by the index")
    }
  }

  /// The name leads nowhere else; the file may be a symbolic link, as in Hugging Face's cache.
  static func isPlainFileName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".." && !name.utf8.contains(UInt8(ascii: "/"))
      && !name.utf8.contains(0)
  }
}
