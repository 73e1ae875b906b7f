import Tensors

/// The files of a folder that hold the weights of one part: a single one, or those that an index lists.
struct WeightFileSet: Equatable {
  /// The index, or the single file.
  let name: String
  let isIndex: Bool
  /// Such as `fp16`; nil for files without.
  let variant: String?

  /// Finds what diffusers and transformers would load, safetensors before pickles and an index before
  /// a single file: files of this variant where there are some, else those without a variant, else
  /// those of the only variant that is there.
  ///
  /// - Parameters:
  ///   - names: the files of the folder.
  ///   - bases: names of weights without their ending, best first.
  /// - Returns: nil when there are none.
  /// - Throws: `unsupported` when several variants are there and none is asked for.
  init?(
    among names: [String], bases: [String], variant: String?, folder: String
  ) throws(SparseDiTError) {
    var found: [WeightFileSet] = []
    for ending in ["safetensors", "bin"] {
      for base in bases {
        found += names.compactMap { Self($0, index: true, base, ending) }
        found += names.compactMap { Self($0, index: false, base, ending) }
      }
    }
    let plain = found.first { $0.variant == nil }
    if let set = found.first(where: { variant != nil && $0.variant == variant }) ?? plain {
      self = set
      return
    }
    let variants = Set(found.compactMap(\.variant)).sorted()
    guard variants.count < 2 else {
      throw .unsupported(
        "\(folder): has its weights as \(variants.joined(separator: " and ")) only: choose a variant"
      )
    }
    guard let only = found.first else { return nil }
    self = only
  }

  private init(name: String, isIndex: Bool, variant: String?) {
    self.name = name
    self.isIndex = isIndex
    self.variant = variant
  }

  /// `base.ending`, `base.VARIANT.ending`, `base.ending.index.json` or
  /// `base.ending.index.VARIANT.json`.
  private init?(_ name: String, index: Bool, _ base: String, _ ending: String) {
    let (before, after) = index ? ("\(base).\(ending).index", ".json") : (base, ".\(ending)")
    guard name.hasPrefix(before), name.hasSuffix(after),
      name.utf8.count >= before.utf8.count + after.utf8.count
    else { return nil }
    let middle = name.dropFirst(before.count).dropLast(after.count)
    guard middle.isEmpty || middle.hasPrefix(".") else { return nil }
    let variant = middle.dropFirst()
    // Shards are called `base-00001-of-00002` or `base.VARIANT-00001-of-00002`.
    guard !variant.contains("."), !variant.contains("-of-"), middle.isEmpty || !variant.isEmpty
    else { return nil }
    self.init(name: name, isIndex: index, variant: variant.isEmpty ? nil : String(variant))
  }

  /// All tensors of the files.
  /// - Throws: `invalidData` when the index and its files do not agree.
  func read(in folder: String) throws(SparseDiTError) -> [SourceTensor] {
    let path = join(folder, name)
    guard isIndex else { return try WeightFile.read(path, name: path) }
    let index = try ConfigObject(file: FileBytes(mapping: path, name: path))
    guard let map = try index.object("weight_map") else {
      throw .invalidData("\(path): weight_map is missing (expected an object)")
    }
    var placed: [String: Set<String>] = [:]
    for tensor in map.keys {
      let shard = try map.string(tensor)
      guard ModelFolder.isPlainFileName(shard) else {
        throw .invalidData(
          "\(path): \(JSONValue.quoted(shard)) is not a file name inside the folder")
      }
      placed[shard, default: []].insert(tensor)
    }
    var tensors: [SourceTensor] = []
    for (shard, names) in placed.sorted(by: { $0.key < $1.key }) {
      let file = join(folder, shard)
      // What the index leaves out is the second name of a tied weight.
      let listed = try WeightFile.read(file, name: file).filter { names.contains($0.name) }
      if let missing = names.subtracting(listed.map(\.name)).min() {
        throw .invalidData(
          "\(path): tensor \(JSONValue.quoted(missing)) is not in \(JSONValue.quoted(shard))")
      }
      tensors += listed
    }
    return tensors
  }
}
