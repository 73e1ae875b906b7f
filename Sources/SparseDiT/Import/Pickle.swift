import Tensors

/// What a pickle holds, as far as a checkpoint needs it. Nothing in it was ever called.
///
/// Containers refer to one another by number, so that neither cycles nor deep nesting can do harm.
struct Pickle: Sendable {
  /// The value that the pickle stands for.
  var root = PickleValue.none
  var containers: [Container] = []
  var storages: [TorchStorage] = []
  var tensors: [TorchTensor] = []

  struct Container: Sendable {
    let kind: Kind
    /// Of a dictionary key, value, key, value …
    var elements: [PickleValue]

    enum Kind: Sendable { case tuple, list, dictionary }
  }

  /// The elements of a tuple or list.
  func elements(_ value: PickleValue) -> [PickleValue]? {
    guard case .container(let index) = value, containers[index].kind != .dictionary else {
      return nil
    }
    return containers[index].elements
  }

  /// The values of a dictionary whose keys are text; of keys that are there twice, the last. Keys of
  /// other types are left out. Nil when it is something else.
  func members(_ value: PickleValue) -> [String: PickleValue]? {
    guard case .container(let index) = value, containers[index].kind == .dictionary else {
      return nil
    }
    let elements = containers[index].elements
    var members: [String: PickleValue] = [:]
    for place in stride(from: 0, to: elements.count - 1, by: 2) {
      if case .text(let key) = elements[place] { members[key] = elements[place + 1] }
    }
    return members
  }
}

/// One value of a pickle.
enum PickleValue: Sendable {
  case none
  case bool(Bool)
  case integer(Int)
  case text(String)
  /// A number of `containers`, `storages` or `tensors` of the pickle.
  case container(Int)
  case storage(Int)
  case tensor(Int)
  case global(PickleGlobal)
  /// Stands for a value that no checkpoint is read for: a number with a fraction, bytes, options of a
  /// training, the state of a random generator.
  case inert
}

/// The memory that tensors of a checkpoint are views of.
struct TorchStorage: Sendable {
  let dtype: SafetensorsFile.StoredType
  /// Its name in the file.
  let key: String
  /// In elements.
  let count: Int
}

/// A tensor as a view of a storage; offset and strides are in elements.
struct TorchTensor: Sendable {
  let storage: Int
  let offset: Int
  let sizes: [Int]
  let strides: [Int]
}

/// The functions and classes that a checkpoint may name. What a pickle asks to be made of them is
/// made by the reader, or stays undone.
enum PickleGlobal: Sendable, Equatable {
  /// Called with nothing or with pairs.
  case dictionary
  /// `collections.defaultdict`: called with what makes missing values.
  case defaultDictionary
  case rebuildTensor
  case rebuildParameter
  /// `torch.Size`: a tuple.
  case size
  case storage(SafetensorsFile.StoredType)
  /// What is made of it is ``PickleValue/inert``.
  case inert

  /// - Returns: nil for everything that has no place in a checkpoint.
  init?(module: String, name: String) {
    switch (module, name) {
    case ("collections", "OrderedDict"): self = .dictionary
    case ("collections", "defaultdict"): self = .defaultDictionary
    case ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor"):
      self = .rebuildTensor
    case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter
    case ("torch", "Size"): self = .size
    case ("torch", _):
      if let type = Self.storages[name] {
        self = .storage(type)
      } else if Self.inertTorch.contains(name) {
        self = .inert
      } else {
        return nil
      }
    case (_, _) where Self.inertNames.contains("\(module).\(name)"): self = .inert
    default: return nil
    }
  }

  private static let storages: [String: SafetensorsFile.StoredType] = [
    "FloatStorage": .f32, "HalfStorage": .f16, "BFloat16Storage": .bf16, "DoubleStorage": .f64,
    "LongStorage": .i64, "IntStorage": .i32, "ShortStorage": .i16, "CharStorage": .i8,
    "ByteStorage": .u8, "BoolStorage": .bool,
  ]

  /// Names of element types and devices, which options of a training may hold.
  private static let inertTorch: Set = [
    "device", "float32", "float", "float16", "half", "bfloat16", "float64", "double", "int64",
    "long", "int32", "int", "int16", "short", "int8", "uint8", "bool", "strided",
  ]

  /// Options of a training, counters of a schedule, sets, and single numbers of numpy.
  private static let inertNames: Set = [
    "argparse.Namespace", "collections.Counter", "__builtin__.set", "builtins.set",
    "__builtin__.frozenset", "builtins.frozenset", "__builtin__.dict", "builtins.dict",
    "__builtin__.list", "builtins.list", "__builtin__.int", "builtins.int", "__builtin__.float",
    "builtins.float", "__builtin__.bytearray", "builtins.bytearray", "__builtin__.bytes",
    "builtins.bytes", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
    "numpy.dtype", "_codecs.encode", "pathlib.PosixPath", "pathlib.Path",
  ]
}
