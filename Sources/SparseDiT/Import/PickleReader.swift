import Tensors

/// Reads a pickle as `torch.save` writes them (protocols 2 to 5), without calling anything.
///
/// A pickle is a program for a machine with a stack. This one knows numbers, text, containers and
/// tensors; a function or class that ``PickleGlobal`` does not know is refused where it is named.
/// Time and memory are proportional to the bytes that are read, with the limits below.
///
/// Source: CPython's `pickletools`.
struct PickleReader {
  private let view: ByteView
  private var position: Int
  private var pickle = Pickle()
  private var stack: [PickleValue] = []
  /// Heights of the stack.
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]
  private var memoizedCount = 0
  private var storageNumbers: [String: Int] = [:]
  private var stepsLeft = maximumSteps

  /// Some 40,000 tensors; keeps a crafted file from taking much memory.
  static let maximumSteps = 1 << 21
  /// A state dictionary's pickle has a few hundred bytes per tensor.
  static let maximumBytes = 64 << 20
  /// More axes than any tensor of a model has.
  static let maximumRank = 16

  /// Reads the pickle at the start of a range.
  /// - Returns: what it holds, and where it ends.
  /// - Throws: `invalidData` for damage, `unsupported` naming what does not belong into a checkpoint.
  static func read(_ view: ByteView) throws(SparseDiTError) -> (pickle: Pickle, end: Int) {
    let begin = view.range.lowerBound
    let end = begin + min(view.range.count, maximumBytes)
    var reader = PickleReader(ByteView(view.file, begin..<end))
    try reader.run()
    return (reader.pickle, reader.position)
  }

  private init(_ view: ByteView) {
    self.view = view
    position = view.range.lowerBound
  }

  private mutating func run() throws(SparseDiTError) {
    let protocolNumber = try view.bytes(position, 2)
    guard protocolNumber[0] == 0x80, (2...5).contains(protocolNumber[1]) else {
      throw error("is not a pickle of protocol 2 to 5")
    }
    position += 2
    while true {
      try charge(1)
      let number = try byte()
      guard let opcode = PickleOpcode(rawValue: number) else {
        throw error("has the step \(number), which torch.save does not write")
      }
      if opcode == .stop { break }
      try execute(opcode)
    }
    pickle.root = try pop()
    guard stack.isEmpty, marks.isEmpty else { throw error("leaves values behind") }
  }

  /// Counts work, so that a crafted pickle ends soon.
  private mutating func charge(_ steps: Int) throws(SparseDiTError) {
    guard stepsLeft >= steps else { throw error("has more than \(Self.maximumSteps) steps") }
    stepsLeft -= steps
  }

  private func error(_ message: String) -> SparseDiTError {
    .invalidData("\(view.name): its pickle \(message) (at byte \(position))")
  }

  // MARK: Steps

  private mutating func execute(_ opcode: PickleOpcode) throws(SparseDiTError) {
    switch opcode {
    case .mark: marks.append(stack.count)
    case .pop: if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
    case .popMark: _ = try popToMark()
    case .duplicate: stack.append(try top())
    case .none: stack.append(.none)
    case .newTrue: stack.append(.bool(true))
    case .newFalse: stack.append(.bool(false))
    case .integer, .integer1, .integer2, .long1, .long4, .number: try pushNumber(opcode)
    case .text1, .text4, .text8, .string1, .string4: try pushText(opcode)
    case .bytes1, .bytes4, .bytes8, .byteArray8: try pushBytes(opcode)
    case .emptyTuple: push(.tuple, [])
    case .tuple: push(.tuple, try popToMark())
    case .tuple1: push(.tuple, try pop(1))
    case .tuple2: push(.tuple, try pop(2))
    case .tuple3: push(.tuple, try pop(3))
    case .emptyList: push(.list, [])
    case .list: push(.list, try popToMark())
    case .append: try append(pop(1))
    case .appends: try append(popToMark())
    case .emptyDictionary: push(.dictionary, [])
    case .dictionary: push(.dictionary, try pairs(popToMark()))
    case .setItem: try setItems(pop(2))
    case .setItems: try setItems(popToMark())
    case .emptySet: stack.append(.inert)
    case .addItems: _ = try popToMark()
    case .frozenSet:
      _ = try popToMark()
      stack.append(.inert)
    case .get1, .get4, .put1, .put4, .memoize: try remember(opcode)
    case .global, .stackGlobal: try pushGlobal(opcode)
    case .reduce:
      let arguments = try pop()
      stack.append(try called(try pop(), arguments))
    case .newObject: try makeObject(keywords: false)
    case .newObjectWithKeywords: try makeObject(keywords: true)
    case .build: try build()
    case .persistentID: try pushStorage()
    case .frame: position += 8
    case .stop: break
    }
  }

  // MARK: The stack

  private func top() throws(SparseDiTError) -> PickleValue {
    guard stack.count > (marks.last ?? 0), let value = stack.last else {
      throw error("takes a value that is not there")
    }
    return value
  }

  private mutating func pop() throws(SparseDiTError) -> PickleValue {
    let value = try top()
    stack.removeLast()
    return value
  }

  private mutating func pop(_ count: Int) throws(SparseDiTError) -> [PickleValue] {
    guard stack.count - (marks.last ?? 0) >= count else {
      throw error("takes a value that is not there")
    }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popToMark() throws(SparseDiTError) -> [PickleValue] {
    guard let height = marks.popLast() else { throw error("takes a mark that is not there") }
    defer { stack.removeLast(stack.count - height) }
    return Array(stack[height...])
  }

  private mutating func push(_ kind: Pickle.Container.Kind, _ elements: [PickleValue]) {
    pickle.containers.append(Pickle.Container(kind: kind, elements: elements))
    stack.append(.container(pickle.containers.count - 1))
  }

  private mutating func remember(_ opcode: PickleOpcode) throws(SparseDiTError) {
    switch opcode {
    case .get1, .get4:
      let number = opcode == .get1 ? Int(try byte()) : try size(UInt32.self)
      guard let value = memo[number] else { throw error("recalls what it never kept") }
      stack.append(value)
    case .put1: memo[Int(try byte())] = try top()
    case .put4: memo[try size(UInt32.self)] = try top()
    default:
      memo[memoizedCount] = try top()
      memoizedCount += 1
    }
  }

  // MARK: Scalars

  private mutating func byte() throws(SparseDiTError) -> UInt8 {
    defer { position += 1 }
    return try view.number(UInt8.self, at: position)
  }

  private mutating func size<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type
  ) throws(SparseDiTError) -> Int {
    defer { position += MemoryLayout<T>.size }
    return try view.size(type, at: position)
  }

  private mutating func pushNumber(_ opcode: PickleOpcode) throws(SparseDiTError) {
    switch opcode {
    case .integer:
      stack.append(.integer(Int(try view.number(Int32.self, at: position))))
      position += 4
    case .integer1: stack.append(.integer(Int(try byte())))
    case .integer2: stack.append(.integer(try size(UInt16.self)))
    case .number:
      _ = try view.bytes(position, 8)
      position += 8
      stack.append(.inert)
    default:
      let count = opcode == .long1 ? Int(try byte()) : try size(UInt32.self)
      let bytes = try view.bytes(position, count)
      position += count
      guard count <= 8 else { return stack.append(.inert) }
      var value = UInt64.zero
      for (place, byte) in bytes.enumerated() { value |= UInt64(byte) << (8 * place) }
      // Two's complement of as many bytes.
      let unused = 64 - 8 * count
      stack.append(.integer(count == 0 ? 0 : Int(truncatingIfNeeded: value << unused) >> unused))
    }
  }

  private mutating func pushText(_ opcode: PickleOpcode) throws(SparseDiTError) {
    let count =
      switch opcode {
      case .text1, .string1: Int(try byte())
      case .text8: try size(UInt64.self)
      default: try size(UInt32.self)
      }
    let bytes = try view.bytes(position, count)
    if let text = String(validating: bytes, as: UTF8.self) {
      stack.append(.text(text))
    } else {
      // Text of Python 2, or half a surrogate pair: no name of a tensor.
      stack.append(.inert)
    }
    position += count
  }

  private mutating func pushBytes(_ opcode: PickleOpcode) throws(SparseDiTError) {
    let count =
      switch opcode {
      case .bytes1: Int(try byte())
      case .bytes4: try size(UInt32.self)
      default: try size(UInt64.self)
      }
    _ = try view.bytes(position, count)
    position += count
    stack.append(.inert)
  }

  // MARK: Containers

  private mutating func append(_ values: [PickleValue]) throws(SparseDiTError) {
    switch try top() {
    case .container(let index) where pickle.containers[index].kind == .list:
      pickle.containers[index].elements += values
    case .inert: break
    default: throw error("appends to what is no list")
    }
  }

  private mutating func setItems(_ values: [PickleValue]) throws(SparseDiTError) {
    let pairs = try pairs(values)
    switch try top() {
    case .container(let index) where pickle.containers[index].kind == .dictionary:
      pickle.containers[index].elements += pairs
    case .inert: break
    default: throw error("sets an item of what is no dictionary")
    }
  }

  private func pairs(_ values: [PickleValue]) throws(SparseDiTError) -> [PickleValue] {
    guard values.count % 2 == 0 else { throw error("has a key without a value") }
    return values
  }

  // MARK: Objects

  private mutating func pushGlobal(_ opcode: PickleOpcode) throws(SparseDiTError) {
    var parts: [String] = []
    if opcode == .global {
      parts = [try line(), try line()]
    } else {
      for value in try pop(2) {
        guard case .text(let text) = value else { throw error("has a name that is not text") }
        parts.append(text)
      }
    }
    guard let global = PickleGlobal(module: parts[0], name: parts[1]) else {
      let name = JSONValue.printable("\(parts[0]).\(parts[1])")
      throw .unsupported(
        "\(view.name): its pickle asks for \(name), which does not belong into a checkpoint;"
          + " nothing was run")
    }
    stack.append(.global(global))
  }

  /// Text up to the end of a line.
  private mutating func line() throws(SparseDiTError) -> String {
    let begin = position
    while try byte() != UInt8(ascii: "\n") {
      guard position - begin <= 1000 else { throw error("has a name of more than 1000 bytes") }
    }
    return try view.text(begin, position - 1 - begin)
  }

  /// What a call that the pickle asks for gives, as far as it is needed.
  private mutating func called(
    _ callee: PickleValue, _ arguments: PickleValue
  ) throws(SparseDiTError) -> PickleValue {
    guard case .global(let global) = callee, let arguments = pickle.elements(arguments) else {
      throw error("calls what is no function of a checkpoint")
    }
    switch global {
    case .inert: return .inert
    case .dictionary: return try dictionary(arguments)
    case .defaultDictionary:
      push(.dictionary, [])
      return try pop()
    case .rebuildTensor: return try tensor(arguments)
    case .rebuildParameter:
      guard case .tensor? = arguments.first else { throw error("has a parameter without a tensor") }
      return arguments[0]
    case .size: return arguments.first ?? .inert
    case .storage: throw error("makes a storage in a way that torch.save does not")
    }
  }

  /// `OrderedDict()`, or of a list of pairs.
  private mutating func dictionary(
    _ arguments: [PickleValue]
  ) throws(SparseDiTError) -> PickleValue {
    var elements: [PickleValue] = []
    if let first = arguments.first {
      guard let pairs = pickle.elements(first) else { throw error("has a malformed OrderedDict") }
      // The same list may be named over and over.
      try charge(pairs.count)
      for pair in pairs {
        guard let pair = pickle.elements(pair), pair.count == 2 else {
          throw error("has a malformed OrderedDict")
        }
        elements += pair
      }
    }
    push(.dictionary, elements)
    return try pop()
  }

  private mutating func makeObject(keywords: Bool) throws(SparseDiTError) {
    if keywords { _ = try pop() }
    let arguments = try pop()
    let made = try pop()
    guard case .global(let global) = made, global == .inert || global == .dictionary else {
      throw error("makes an object that does not belong into a checkpoint")
    }
    stack.append(global == .inert ? .inert : try called(made, arguments))
  }

  /// Attributes of an object, which no tensor depends on.
  private mutating func build() throws(SparseDiTError) {
    _ = try pop()
    switch try top() {
    case .inert, .tensor: break
    case .container(let index) where pickle.containers[index].kind == .dictionary: break
    default: throw error("gives attributes to what has none")
    }
  }

  // MARK: Tensors

  /// `("storage", type, key, device, elements)`.
  private mutating func pushStorage() throws(SparseDiTError) {
    let identity = pickle.elements(try pop()) ?? []
    guard identity.count >= 5, case .text("storage") = identity[0],
      case .global(.storage(let dtype)) = identity[1], case .text(let key) = identity[2],
      case .integer(let count) = identity[4], count >= 0
    else { throw error("has a storage that is described in an unknown way") }
    // Files before 2018 may have storages that are a part of another one.
    if identity.count > 5, case .container = identity[5] {
      throw error("has a storage that is a part of another one, which is not supported")
    }
    if let number = storageNumbers[key] {
      let known = pickle.storages[number]
      guard known.dtype == dtype, known.count == count else {
        throw error("describes storage \(JSONValue.quoted(key)) twice, and differently")
      }
      return stack.append(.storage(number))
    }
    storageNumbers[key] = pickle.storages.count
    stack.append(.storage(pickle.storages.count))
    pickle.storages.append(TorchStorage(dtype: dtype, key: key, count: count))
  }

  /// `_rebuild_tensor_v2(storage, offset, size, stride, …)`.
  private mutating func tensor(_ arguments: [PickleValue]) throws(SparseDiTError) -> PickleValue {
    guard arguments.count >= 4, case .storage(let storage) = arguments[0],
      case .integer(let offset) = arguments[1], offset >= 0,
      let sizes = integers(arguments[2]), let strides = integers(arguments[3]),
      sizes.count == strides.count
    else { throw error("has a tensor that is described in an unknown way") }
    try charge(16)
    pickle.tensors.append(
      TorchTensor(storage: storage, offset: offset, sizes: sizes, strides: strides))
    return .tensor(pickle.tensors.count - 1)
  }

  /// A tuple of integers that are not negative.
  private func integers(_ value: PickleValue) -> [Int]? {
    guard let elements = pickle.elements(value), elements.count <= Self.maximumRank else {
      return nil
    }
    var result: [Int] = []
    for element in elements {
      guard case .integer(let size) = element, size >= 0 else { return nil }
      result.append(size)
    }
    return result
  }
}
