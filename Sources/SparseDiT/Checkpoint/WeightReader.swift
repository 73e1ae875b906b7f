import Glibc
import Tensors

/// What a weight is used for, which decides the element type that it is kept in.
package enum WeightKind: Sendable {
  /// Biases, norms, tables: always f32.
  case vector
  /// Operand of a matrix product or convolution: f32 or bf16, as the precision says.
  case matrix
}

/// Hands out the weights of one component by name, and finds at the end which ones were not asked for.
///
/// A weight that lies in the file in the type it is kept in, suitably aligned, is used where it is;
/// others are converted once. Tensors keep the mapping of their file alive. Not thread-safe; used
/// while a model is loaded, then dropped.
package final class WeightReader {
  /// The component, for messages.
  let name: String
  private let precision: Precision
  private let budget: WeightBudget?
  private let sources: [String: Source]
  /// Where tensors come from that are read from no file.
  private var random: RandomWeights?
  private var names: [String: StoredPart] = [:]
  private var unread: Set<String>
  private var handedOut: [NamedWeights.Item] = []

  private struct Source {
    let fileName: String
    let entry: SafetensorsFile.Entry
    let storage: Storage

    var base: UnsafeRawPointer { UnsafeRawPointer(storage.base + entry.range.lowerBound) }
  }

  /// - Parameters:
  ///   - name: the component, for messages.
  ///   - shards: files without a tensor name in common.
  ///   - budget: what conversions are taken from; nil for no limit.
  init(
    name: String, shards: [SafetensorsFile], precision: Precision, budget: WeightBudget? = nil
  ) throws(SparseDiTError) {
    self.name = name
    self.precision = precision
    self.budget = budget
    var sources: [String: Source] = [:]
    for shard in shards {
      let storage = try shard.file.storage()
      for (tensor, entry) in shard.entries {
        sources[tensor] = Source(fileName: shard.file.name, entry: entry, storage: storage)
      }
    }
    self.sources = sources
    unread = Set(sources.keys)
  }

  /// Reads no file: hands out random tensors of any name and shape.
  init(randomFor name: String, _ precision: Precision) {
    self.name = name
    self.precision = precision
    budget = nil
    sources = [:]
    random = RandomWeights()
    unread = []
  }

  /// From now on looks for these weights where the table says. Others keep their names.
  func translate(_ table: [String: StoredPart]) { names = table }

  /// Whether the files hold a tensor of this name.
  package func contains(_ name: String) -> Bool { sources[stored(name).name] != nil }

  /// The tensor of this name, which must have exactly this shape.
  /// - Throws: `invalidData` when it is missing or misshapen, `unsupported` when its element type is
  ///   not F32, F16 or BF16, `outOfMemory` when it must be converted and there is no room for that.
  package func tensor(
    _ tensorName: String, _ shape: Shape, keep kind: WeightKind = .vector
  ) throws(SparseDiTError) -> Tensor {
    let (found, place) = try find(tensorName, shape)
    let dtype: DType = kind == .matrix && precision == .bf16 ? .bf16 : .f32
    if !found.isUsable(as: dtype) { try budget?.take(shape.count * dtype.byteCount) }
    let tensor = try found.kept(as: dtype)
    handedOut.append(NamedWeights.Item(name: place, tensor: tensor))
    return tensor
  }

  /// A tensor that is only looked at, in f32: it does not count among the weights.
  /// - Throws: as ``tensor(_:_:keep:)``.
  func constant(_ name: String, _ shape: Shape) throws(SparseDiTError) -> Tensor {
    try find(name, shape).tensor.kept(as: .f32)
  }

  /// Skips a tensor that holds the same bytes as another one. Returns false, and skips nothing, when
  /// the bytes differ or one of the two is missing.
  func skipCopy(_ name: String, of other: String) -> Bool {
    if random != nil { return true }
    let (copy, original) = (stored(name), stored(other))
    guard let first = sources[copy.name], let second = sources[original.name] else { return false }
    guard copy != original else { return true }
    let isSame =
      first.entry.shape == second.entry.shape && first.entry.dtype == second.entry.dtype
      && copy.part == original.part && copy.count == original.count
      && memcmp(first.base, second.base, first.entry.range.count) == 0
    if isSame { unread.remove(copy.name) }
    return isSame
  }

  /// `name.weight` `[out, in]` and `name.bias` `[out]`.
  ///
  /// - Parameter isReadOften: whether every step reads it, see ``Linear``.
  package func linear(
    _ name: String, in inputs: Int, out outputs: Int, bias: Bool = true, isReadOften: Bool = false
  ) throws(SparseDiTError) -> Linear {
    Linear(
      weight: try tensor(name + ".weight", [outputs, inputs], keep: .matrix),
      bias: bias ? try tensor(name + ".bias", [outputs]) : nil, isReadOften: isReadOften)
  }

  /// `name.weight` `[out, in, kernel, kernel]` and `name.bias` `[out]`.
  package func convolution(
    _ name: String, in inputs: Int, out outputs: Int, kernel: Int, stride: Int = 1,
    padding: Int = 0, bias: Bool = true
  ) throws(SparseDiTError) -> Convolution {
    Convolution(
      weight: try tensor(name + ".weight", [outputs, inputs, kernel, kernel], keep: .matrix),
      bias: bias ? try tensor(name + ".bias", [outputs]) : nil, stride: stride, padding: padding)
  }

  /// Marks tensors as known and not needed, for example an encoder that is never run.
  package func ignore(where isKnown: (String) -> Bool) {
    unread = unread.filter { !isKnown($0) }
  }

  /// Call when all weights were asked for.
  /// - Throws: `invalidData` that names a tensor of the files that was not asked for.
  package func finish() throws(SparseDiTError) {
    guard let first = unread.min(), let source = sources[first] else { return }
    let others = unread.count > 1 ? " (and \(unread.count - 1) more)" : ""
    throw .invalidData(
      "\(source.fileName): tensor \(JSONValue.quoted(first)) is not part of this model\(others)")
  }

  /// The weights handed out so far, for a later search for NaN or infinity.
  package var named: NamedWeights { NamedWeights(items: handedOut) }

  private func stored(_ name: String) -> StoredPart { names[name] ?? StoredPart(name) }

  /// A tensor as it lies in the files, and how messages call it.
  private func find(
    _ tensorName: String, _ shape: Shape
  ) throws(SparseDiTError) -> (tensor: Tensor, place: String) {
    if let drawn = try random?.tensor(shape) { return (drawn, "\(name): \(tensorName)") }
    let part = stored(tensorName)
    guard let source = sources[part.name] else {
      throw .invalidData("\(name): tensor \(JSONValue.quoted(part.name)) is missing")
    }
    let place = "\(source.fileName): tensor \(JSONValue.quoted(part.name))"
    let whole = part.whole(of: shape)
    guard source.entry.shape == whole else {
      throw .invalidData("\(place): expected shape \(whole), found \(source.entry.shape)")
    }
    let tensor = try storedTensor(source, place)
    unread.remove(part.name)
    return (
      Tensor(
        storage: tensor.storage,
        byteOffset: tensor.byteOffset + part.part * shape.count * tensor.dtype.byteCount,
        shape: shape, dtype: tensor.dtype), place
    )
  }

  private func storedTensor(
    _ source: Source, _ place: String
  ) throws(SparseDiTError) -> Tensor {
    let dtype: DType
    switch source.entry.dtype {
    case .f32: dtype = .f32
    case .f16: dtype = .f16
    case .bf16: dtype = .bf16
    default:
      throw .unsupported(
        "\(place): dtype \(source.entry.dtype.rawValue) is not supported (only F32, F16, BF16)")
    }
    return Tensor(
      storage: source.storage, byteOffset: source.entry.range.lowerBound,
      shape: source.entry.shape, dtype: dtype)
  }
}

/// Where a weight lies in files that call it otherwise, or hold it as a part of a larger tensor.
struct StoredPart: Sendable, Hashable {
  let name: String
  /// The weight is part 0 ..< count of as many equal parts of the first axis.
  let part: Int
  let count: Int

  init(_ name: String, part: Int = 0, of count: Int = 1) {
    self.name = name
    self.part = part
    self.count = count
  }

  /// The shape of the tensor that a part of this shape is stored in.
  func whole(of shape: Shape) -> Shape {
    guard count > 1, let first = shape.sizes.first else { return shape }
    return Shape([count * first] + shape.sizes.dropFirst())
  }
}

/// The memory that converted weights of a model may take; counts what they have taken.
///
/// Used by one thread while a model is loaded.
package final class WeightBudget {
  package private(set) var taken = 0
  private let limit: Int?

  /// - Parameter limit: in bytes; nil for none.
  package init(limit: Int?) { self.limit = limit }

  func take(_ byteCount: Int) throws(SparseDiTError) {
    taken += byteCount
    if let limit, taken > limit {
      throw .outOfMemory(
        "the model's weights must be converted, which takes more than \(limit) bytes of memory;"
          + " with the precision of its files they are used in place")
    }
  }
}
