import CSparseDiT
import SparseDiT
import Tensors

/// A structure of the interface that begins with its size, so that it can grow at the end.
protocol SizedStructure {
  init()
  var struct_size: Int { get set }
  /// sizeof in each version of the header, oldest first.
  static var knownSizes: [Int] { get }
}

extension SizedStructure {
  static var knownSizes: [Int] { [MemoryLayout<Self>.size] }

  /// Fills in `defaults` as far as the caller's version of the structure goes.
  static func fill(
    _ pointer: UnsafeMutablePointer<Self>?, size: Int, with defaults: Self
  ) -> sparsedit_status {
    guard let pointer, knownSizes.contains(size) else { return SPARSEDIT_INVALID_ARGUMENT }
    defaults.copy(to: pointer, size: size)
    return SPARSEDIT_OK
  }

  /// The caller's structure; fields that the caller's version does not have stay as in `defaults`.
  static func read(
    _ pointer: UnsafePointer<Self>?, named name: String, defaults: Self
  ) throws(Failure) -> Self {
    let size = try checkedSize(pointer, named: name)
    var value = defaults
    withUnsafeMutableBytes(of: &value) {
      $0.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: size))
    }
    return value
  }

  /// Writes to the caller's structure what its version has room for.
  static func write(
    _ value: Self, to pointer: UnsafeMutablePointer<Self>?, named name: String
  ) throws(Failure) {
    let size = try checkedSize(UnsafePointer(pointer), named: name)
    if let pointer { value.copy(to: pointer, size: size) }
  }

  /// Copies the first `size` bytes, with that as `struct_size`.
  private func copy(to pointer: UnsafeMutablePointer<Self>, size: Int) {
    var value = self
    value.struct_size = size
    withUnsafeBytes(of: value) { bytes in
      UnsafeMutableRawBufferPointer(start: pointer, count: size)
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<size]))
    }
  }

  /// The structure's own size field, refused where no version of the library knew such a size.
  static func checkedSize(
    _ pointer: UnsafePointer<Self>?, named name: String
  ) throws(Failure) -> Int {
    guard let pointer else { throw .argument("\(name) is NULL") }
    let size = UnsafeRawPointer(pointer).loadUnaligned(as: Int.self)
    guard knownSizes.contains(size) else {
      throw .argument(
        "\(name)->struct_size is \(UInt(bitPattern: size)); this library knows "
          + knownSizes.map(String.init).joined(separator: ", "))
    }
    return size
  }
}

extension sparsedit_pipeline_options: SizedStructure {}
extension sparsedit_pipeline_info: SizedStructure {}
extension sparsedit_step: SizedStructure {}
extension sparsedit_image_view: SizedStructure {}
extension sparsedit_generate_options: SizedStructure {
  static var knownSizes: [Int] {
    [MemoryLayout.offset(of: \Self.no_clean_caption) ?? 0, MemoryLayout<Self>.size]
  }
}
extension sparsedit_cost: SizedStructure {}
extension sparsedit_estimate_options: SizedStructure {}
extension sparsedit_denoise_options: SizedStructure {}
extension sparsedit_sampler_options: SizedStructure {}
extension sparsedit_sampler_info: SizedStructure {}
extension sparsedit_import_options: SizedStructure {}

/// A prompt given as pointer and length in bytes: UTF-8 without NUL, not too long.
func prompt(
  _ pointer: UnsafePointer<CChar>?, length: Int, named name: String
) throws(Failure) -> String {
  // A size_t beyond Int.max arrives as a negative number.
  guard (0...Caption.maximumBytes).contains(length) else {
    throw .argument(
      "\(name) is \(UInt(bitPattern: length)) bytes long (at most \(Caption.maximumBytes) are"
        + " allowed)")
  }
  guard length > 0 else { return "" }
  guard let pointer else { throw .argument("\(name) is NULL and its length \(length)") }
  let bytes = UnsafeRawBufferPointer(start: pointer, count: length)
  return try engine { () throws(SparseDiTError) in try Caption.checked(bytes, name: name) }
}

/// A NUL-terminated path in UTF-8.
func path(_ pointer: UnsafePointer<CChar>?, named name: String) throws(Failure) -> String {
  guard let pointer else { throw .argument("\(name) is NULL") }
  guard let text = String(validatingCString: pointer) else {
    throw .argument("\(name) is not valid UTF-8")
  }
  guard !text.isEmpty else { throw .argument("\(name) is empty") }
  return text
}

/// A `sparsedit_precision`; nil for the default.
func precision(_ value: Int32, named name: String) throws(Failure) -> Precision? {
  switch sparsedit_precision(rawValue: UInt32(bitPattern: value)) {
  case SPARSEDIT_PRECISION_DEFAULT: nil
  case SPARSEDIT_PRECISION_F32: .f32
  case SPARSEDIT_PRECISION_BF16: .bf16
  default: throw .argument("\(name) is \(value), which is no sparsedit_precision")
  }
}

/// A pipeline folder by its path, or the model inside for NULL.
func modelFolder(
  _ pointer: UnsafePointer<CChar>?, named name: String
) throws(Failure) -> ModelFolder {
  let directory = pointer == nil ? nil : try path(pointer, named: name)
  return try engine { () throws(SparseDiTError) in
    if let directory { try ModelFolder(directory: directory) } else { try ModelFolder.builtIn() }
  }
}

/// An integer field within a range.
func checked(
  _ value: Int32, in range: ClosedRange<Int>, named name: String
) throws(Failure) -> Int {
  guard range.contains(Int(value)) else {
    throw .argument(
      "\(name) is \(value); it must be \(range.lowerBound) to \(range.upperBound)")
  }
  return Int(value)
}

/// The element count of an array of the interface.
func elementCount(_ sizes: [Int], named name: String) throws(Failure) -> Int {
  guard let shape = Shape.checked(sizes) else {
    throw .argument("\(name) of \(sizes.map(String.init).joined(separator: " × ")) is too large")
  }
  return shape.count
}

/// An array that the caller lends to be read.
func input<Element>(
  _ pointer: UnsafePointer<Element>?, count: Int, named name: String
) throws(Failure) -> UnsafeBufferPointer<Element> {
  guard let pointer else { throw .argument("\(name) is NULL") }
  guard UInt(bitPattern: pointer) % UInt(MemoryLayout<Element>.alignment) == 0 else {
    throw .argument("\(name) is not aligned to its elements")
  }
  return UnsafeBufferPointer(start: pointer, count: count)
}

/// An array that the caller lends to be filled, after telling it how many elements that takes.
func output<Element>(
  _ pointer: UnsafeMutablePointer<Element>?, capacity: Int,
  needed: UnsafeMutablePointer<Int>?, count: Int, named name: String
) throws(Failure) -> UnsafeMutableBufferPointer<Element> {
  needed?.pointee = count
  // A size_t beyond Int.max arrives as a negative number: room enough.
  guard capacity < 0 || capacity >= count else {
    throw Failure(
      status: SPARSEDIT_BUFFER_TOO_SMALL,
      message: "\(name) holds \(capacity) elements; \(count) are needed")
  }
  _ = try input(UnsafePointer(pointer), count: count, named: name)
  return UnsafeMutableBufferPointer(start: pointer, count: count)
}
