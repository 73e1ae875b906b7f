import Tensors

/// A file that `torch.save` wrote: a pickle that describes tensors, and their bytes.
///
/// Since PyTorch 1.6 that is a zip file with entries `NAME/data.pkl` and `NAME/data/KEY`; before, one
/// pickle after the other and the storages behind them.
struct TorchFile: Sendable {
  let file: FileBytes
  let pickle: Pickle
  /// Where the bytes of each storage lie in the file.
  private let places: [Range<Int>]

  /// What older files begin with: a pickle of the number 0x1950A86A20F9469CFC6C.
  private static let olderMark: [UInt8] = [
    0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
  ]

  /// Whether a file begins as `torch.save` makes them begin.
  static func begins(_ file: FileBytes) -> Bool {
    ZipArchive.begins(file) || file.bytes.starts(with: olderMark)
  }

  /// - Throws: `invalidData` for a file that is damaged or cut short, `unsupported` for one that asks
  ///   for what does not belong into a checkpoint, or is compressed.
  init(_ file: FileBytes) throws(SparseDiTError) {
    guard Self.begins(file) else {
      throw .unsupported("\(file.name): is no file that torch.save wrote")
    }
    self.file = file
    (pickle, places) =
      ZipArchive.begins(file) ? try Self.readZip(file) : try Self.readOlder(file)
    for (storage, place) in zip(pickle.storages, places) {
      let expected = storage.count.multipliedReportingOverflow(by: storage.dtype.byteCount)
      guard !expected.overflow, expected.partialValue == place.count else {
        throw .invalidData(
          "\(file.name): damaged: storage \(JSONValue.quoted(storage.key)) has \(place.count) bytes"
            + " for \(storage.count) elements of \(storage.dtype.rawValue)")
      }
    }
  }

  // MARK: Forms

  private static func readZip(
    _ file: FileBytes
  ) throws(SparseDiTError) -> (Pickle, [Range<Int>]) {
    let archive = try ZipArchive(file)
    let suffix = "/data.pkl"
    let found = archive.entries.keys.filter { $0.hasSuffix(suffix) }
    guard found.count == 1, let main = found.first, let range = archive.entries[main] else {
      throw .unsupported("\(file.name): is a zip file that torch.save did not write")
    }
    let folder = String(main.dropLast(suffix.count))
    if let order = archive.entries[folder + "/byteorder"],
      !file.bytes[order].elementsEqual("little".utf8)
    {
      throw .unsupported("\(file.name): its numbers are not little-endian")
    }
    let (pickle, _) = try PickleReader.read(ByteView(file, range))
    var places: [Range<Int>] = []
    for storage in pickle.storages {
      guard let place = archive.entries["\(folder)/data/\(storage.key)"] else {
        throw .invalidData(
          "\(file.name): damaged: storage \(JSONValue.quoted(storage.key)) is missing")
      }
      places.append(place)
    }
    return (pickle, places)
  }

  /// Five pickles (the mark, a version, the machine, the content, the keys of the storages in order)
  /// and the storages, each with its number of elements before it.
  private static func readOlder(
    _ file: FileBytes
  ) throws(SparseDiTError) -> (Pickle, [Range<Int>]) {
    var position = olderMark.count
    func next() throws(SparseDiTError) -> Pickle {
      let (pickle, end) = try PickleReader.read(ByteView(file, position..<file.count))
      position = end
      return pickle
    }
    let version = try next()
    guard case .integer(1001) = version.root else {
      throw .unsupported("\(file.name): is in a form of torch.save that is not known")
    }
    let machine = try next()
    guard case .bool(true)? = machine.members(machine.root)?["little_endian"] else {
      throw .unsupported("\(file.name): its numbers are not little-endian")
    }
    let pickle = try next()
    let listed = try next()
    guard let keys = listed.elements(listed.root), keys.count == pickle.storages.count else {
      throw .invalidData("\(file.name): damaged: the list of its storages is wrong")
    }
    var numbers: [String: Int] = [:]
    for (number, storage) in pickle.storages.enumerated() { numbers[storage.key] = number }
    var places = [Range<Int>?](repeating: nil, count: keys.count)
    let view = ByteView(file)
    for key in keys {
      guard case .text(let key) = key, let number = numbers[key], places[number] == nil else {
        throw .invalidData("\(file.name): damaged: the list of its storages is wrong")
      }
      let storage = pickle.storages[number]
      let count = try view.size(UInt64.self, at: position)
      position += 8
      // The file's own number of elements, which must be the pickle's.
      guard count == storage.count, count <= file.count else {
        throw .invalidData(
          "\(file.name): damaged: storage \(JSONValue.quoted(key)) has \(count) elements and not"
            + " \(storage.count)")
      }
      let byteCount = count * storage.dtype.byteCount
      _ = try view.bytes(position, byteCount)
      places[number] = position..<position + byteCount
      position += byteCount
    }
    guard position == file.count else {
      throw .invalidData("\(file.name): damaged: has other bytes behind its storages")
    }
    return (pickle, places.compactMap(\.self))
  }

  // MARK: Tensors

  /// Keys under which checkpoints of a training have the weights that pictures are drawn with, best
  /// first: DiT's averaged ones; those that PixArt's own scripts take.
  private static let weightKeys = ["ema", "state_dict", "state_dict_ema", "model", "module"]

  /// The weights of the file by name: those of the first of ``weightKeys``, or else all.
  ///
  /// - Throws: `invalidData` for a tensor that reaches beyond its storage, and where tensors overlap.
  func weights() throws(SparseDiTError) -> [SourceTensor] {
    guard var members = pickle.members(pickle.root) else {
      throw .invalidData("\(file.name): holds no dictionary of tensors")
    }
    for key in Self.weightKeys {
      if let value = members[key], let inner = pickle.members(value),
        inner.values.contains(where: isTensor)
      {
        members = inner
        break
      }
    }
    var tensors: [SourceTensor] = []
    for (name, value) in members.sorted(by: { $0.key < $1.key }) {
      if case .tensor(let number) = value {
        tensors.append(try tensor(pickle.tensors[number], name))
      }
    }
    guard !tensors.isEmpty else { throw .invalidData("\(file.name): holds no tensors") }
    try checkOverlaps(tensors)
    return tensors
  }

  private func isTensor(_ value: PickleValue) -> Bool {
    if case .tensor = value { true } else { false }
  }

  private func tensor(
    _ view: TorchTensor, _ name: String
  ) throws(SparseDiTError) -> SourceTensor {
    let storage = pickle.storages[view.storage]
    let place = "\(file.name): tensor \(JSONValue.quoted(name))"
    guard let shape = Shape.checked(view.sizes) else {
      throw .invalidData("\(place): shape \(view.sizes) is too large")
    }
    // The last element lies where all indices are largest.
    var last = view.offset
    if shape.count > 0 {
      for (size, stride) in zip(view.sizes, view.strides) where size > 1 {
        let step = (size - 1).multipliedReportingOverflow(by: stride)
        let sum = last.addingReportingOverflow(step.partialValue)
        guard !step.overflow, !sum.overflow else {
          throw .invalidData("\(place): reaches beyond its storage")
        }
        last = sum.partialValue
      }
      guard last < storage.count else {
        throw .invalidData(
          "\(place): reaches beyond its storage of \(storage.count) elements")
      }
    }
    guard Self.isInjective(view) else {
      throw .unsupported("\(place): its elements overlap one another")
    }
    let offset = shape.count > 0 ? view.offset * storage.dtype.byteCount : 0
    return SourceTensor(
      name: name, dtype: storage.dtype, shape: shape, strides: view.strides, file: file,
      byteOffset: places[view.storage].lowerBound + offset)
  }

  /// Whether no two elements lie at one place: from the finest stride up, each steps over all below.
  private static func isInjective(_ view: TorchTensor) -> Bool {
    var reach = 0
    for (stride, size) in zip(view.strides, view.sizes).sorted(by: { $0.0 < $1.0 })
    where size > 1 {
      guard stride > reach else { return false }
      reach += (size - 1) * stride
    }
    return true
  }

  /// Weights may be tied, that is the same; parts of one another they are not.
  private func checkOverlaps(_ tensors: [SourceTensor]) throws(SparseDiTError) {
    let ordered = tensors.filter { $0.isContiguous && $0.shape.count > 0 }
      .sorted { ($0.byteOffset, $0.byteCount) < ($1.byteOffset, $1.byteCount) }
    for (first, second) in zip(ordered, ordered.dropFirst())
    where second.byteOffset < first.byteOffset + first.byteCount {
      let isSame = first.byteOffset == second.byteOffset && first.byteCount == second.byteCount
      guard isSame else {
        throw .invalidData(
          "\(file.name): tensors \(JSONValue.quoted(first.name)) and"
            + " \(JSONValue.quoted(second.name)) overlap")
      }
    }
  }
}
