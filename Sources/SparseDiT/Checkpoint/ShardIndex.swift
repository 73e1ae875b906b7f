import Tensors

extension ModelFolder {
  /// The safetensors files that hold a component's weights, each checked, and together without a
  /// tensor in two of them.
  func shards(_ subfolder: String, base: String) throws(SparseDiTError) -> [SafetensorsFile] {
    let single = "\(subfolder)/\(base).safetensors"
    let index = single + ".index.json"
    if contains(index) { return try shards(subfolder, index: config(index)) }
    if contains(single) { return [try SafetensorsFile(file: read(single))] }
    if contains("\(subfolder)/\(base).bin") || contains("\(subfolder)/\(base).bin.index.json") {
      throw .unsupported(
        "\(displayName(subfolder)): weights as .bin are not supported (only .safetensors)")
    }
    throw .notFound("\(displayName(single)): does not exist")
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
