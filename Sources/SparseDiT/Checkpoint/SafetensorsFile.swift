import Tensors

/// The table of one safetensors file, checked in full before any tensor is used.
///
/// Layout of the file: the header's length (8 bytes, little endian), the header (a JSON object:
/// tensor name → dtype, shape, begin and end), the tensors' bytes. Tensors must tile the bytes after
/// the header without overlap or hole.
struct SafetensorsFile: Sendable {
  let file: FileBytes
  let entries: [String: Entry]

  struct Entry: Sendable {
    let dtype: StoredType
    let shape: Shape
    /// Offsets of the tensor's bytes from the start of the file.
    let range: Range<Int>
  }

  /// Element types of the format. The engine reads the floating-point ones of 2 and 4 bytes.
  enum StoredType: String, Sendable {
    case bool = "BOOL"
    case u8 = "U8"
    case i8 = "I8"
    case f8e5m2 = "F8_E5M2"
    case f8e4m3 = "F8_E4M3"
    case f8e8m0 = "F8_E8M0"
    case u16 = "U16"
    case i16 = "I16"
    case f16 = "F16"
    case bf16 = "BF16"
    case u32 = "U32"
    case i32 = "I32"
    case f32 = "F32"
    case u64 = "U64"
    case i64 = "I64"
    case f64 = "F64"

    var byteCount: Int {
      switch self {
      case .bool, .u8, .i8, .f8e5m2, .f8e4m3, .f8e8m0: 1
      case .u16, .i16, .f16, .bf16: 2
      case .u32, .i32, .f32: 4
      case .u64, .i64, .f64: 8
      }
    }
  }

  /// More axes than any tensor of a model has.
  private static let maximumRank = 16

  /// - Throws: `invalidData` that names the file, the tensor if there is one, and the broken rule.
  init(file: FileBytes) throws(SparseDiTError) {
    self.file = file
    let dataStart = try SafetensorsFile.dataStart(of: file)
    let header = try JSONParser.parse(
      UnsafeRawBufferPointer(rebasing: file.bytes[8..<dataStart]), name: "\(file.name): header",
      allowsNonFinite: false)
    guard case .object(let members) = header else {
      throw .invalidData("\(file.name): header: expected an object, found \(header.summary)")
    }
    var entries: [String: Entry] = [:]
    entries.reserveCapacity(members.count)
    for (key, value) in members {
      if key == "__metadata__" {
        try SafetensorsFile.checkMetadata(value, file.name)
      } else {
        let place = "\(file.name): tensor \(JSONValue.quoted(key))"
        entries[key] = try SafetensorsFile.entry(
          value, place, dataStart: dataStart, fileSize: file.count)
      }
    }
    self.entries = entries
    try checkTiling(from: dataStart)
  }

  /// Where the tensors' bytes begin.
  private static func dataStart(of file: FileBytes) throws(SparseDiTError) -> Int {
    guard file.count >= 8 else {
      throw .invalidData(
        "\(file.name): \(file.count) bytes are too few for a safetensors file (at least 8)")
    }
    let length = UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(JSONParser.maximumBytes) else {
      throw .invalidData(
        "\(file.name): header length \(length) is above the limit of \(JSONParser.maximumBytes) bytes"
      )
    }
    let dataStart = 8 + Int(length)
    guard dataStart <= file.count else {
      throw .invalidData(
        "\(file.name): truncated: the header needs \(dataStart) bytes, the file has \(file.count)")
    }
    return dataStart
  }

  private static func checkMetadata(
    _ value: JSONValue, _ name: String
  ) throws(SparseDiTError) {
    guard case .object(let members) = value else {
      throw .invalidData("\(name): __metadata__: expected an object, found \(value.summary)")
    }
    for (key, member) in members {
      guard case .string = member else {
        throw .invalidData(
          "\(name): __metadata__: \(JSONValue.quoted(key)): expected a string, "
            + "found \(member.summary)")
      }
    }
  }

  private static func entry(
    _ value: JSONValue, _ place: String, dataStart: Int, fileSize: Int
  ) throws(SparseDiTError) -> Entry {
    guard case .object(let members) = value else {
      throw .invalidData("\(place): expected an object, found \(value.summary)")
    }
    for key in members.keys.sorted() where !["dtype", "shape", "data_offsets"].contains(key) {
      throw .invalidData("\(place): unknown key \(JSONValue.quoted(key))")
    }
    guard case .string(let typeName) = members["dtype"] else {
      throw .invalidData("\(place): dtype: expected a string, found \(summary(members["dtype"]))")
    }
    guard let dtype = StoredType(rawValue: typeName) else {
      throw .invalidData("\(place): unknown dtype \(JSONValue.quoted(typeName))")
    }
    let sizes = try sizes(members["shape"], "\(place): shape")
    guard sizes.count <= maximumRank, let shape = Shape.checked(sizes) else {
      throw .invalidData("\(place): shape \(sizes) is too large")
    }
    let offsets = try SafetensorsFile.sizes(members["data_offsets"], "\(place): data_offsets")
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw .invalidData("\(place): data_offsets: expected [begin, end], found \(offsets)")
    }
    guard offsets[1] <= fileSize - dataStart else {
      throw .invalidData(
        "\(place): truncated: its bytes end at \(offsets[1]), the file has \(fileSize - dataStart) "
          + "after the header")
    }
    let expected = shape.count * dtype.byteCount
    guard offsets[1] - offsets[0] == expected else {
      throw .invalidData(
        "\(place): \(typeName) \(shape) takes \(expected) bytes, data_offsets give "
          + "\(offsets[1] - offsets[0])")
    }
    return Entry(
      dtype: dtype, shape: shape, range: dataStart + offsets[0]..<dataStart + offsets[1])
  }

  /// An array of integers that are not negative.
  private static func sizes(
    _ value: JSONValue?, _ place: String
  ) throws(SparseDiTError) -> [Int] {
    guard case .array(let elements) = value else {
      throw .invalidData("\(place): expected an array, found \(summary(value))")
    }
    var sizes: [Int] = []
    for element in elements {
      guard case .integer(let size) = element, size >= 0 else {
        throw .invalidData(
          "\(place): expected integers from 0 to 2^63 - 1, found \(element.summary)")
      }
      sizes.append(size)
    }
    return sizes
  }

  private static func summary(_ value: JSONValue?) -> String { value?.summary ?? "nothing" }

  /// Tensors in order of their bytes must follow one another up to the end of the file.
  private func checkTiling(from dataStart: Int) throws(SparseDiTError) {
    let ordered = entries.sorted {
      ($0.value.range.lowerBound, $0.value.range.upperBound, $0.key)
        < ($1.value.range.lowerBound, $1.value.range.upperBound, $1.key)
    }
    var end = dataStart
    var previous: String?
    for (name, entry) in ordered {
      if entry.range.lowerBound < end {
        throw .invalidData(
          "\(file.name): tensor \(JSONValue.quoted(name)) overlaps "
            + "tensor \(JSONValue.quoted(previous ?? ""))")
      }
      if entry.range.lowerBound > end {
        throw .invalidData(
          "\(file.name): hole of \(entry.range.lowerBound - end) bytes before "
            + "tensor \(JSONValue.quoted(name))")
      }
      if !entry.range.isEmpty { previous = name }
      end = entry.range.upperBound
    }
    if end != file.count {
      throw .invalidData("\(file.name): \(file.count - end) bytes after the last tensor")
    }
  }
}
