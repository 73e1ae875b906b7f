import CSparseDiT
import Glibc
import SparseDiT
import Synchronization
import Tensors

/// What a `sparsedit_images` stands for.
final class ImagesObject: HostObject, Sendable {
  static let mark: UInt64 = 0xD17A_5BA5_E0F1_9E02

  let images: [RGBImage]
  private let seeds: [UInt64]
  /// What the JPEG of each picture carries.
  let parameters: [String]
  let message = LastMessage()
  /// The pixels of each picture that a host has asked for, at an address that stays.
  private let pixels: Mutex<[HostPixels?]>

  init(_ result: GenerationResult) {
    images = result.images
    seeds = result.seeds
    parameters = result.images.indices.map(result.parameters(of:))
    pixels = Mutex(Array(repeating: nil, count: images.count))
  }

  /// One picture from elsewhere.
  init(_ image: RGBImage, seed: UInt64, parameters: String) {
    images = [image]
    seeds = [seed]
    self.parameters = [parameters]
    pixels = Mutex([nil])
  }

  func image(_ index: Int) throws(Failure) -> RGBImage {
    guard images.indices.contains(index) else {
      throw .argument("index is \(UInt(bitPattern: index)); there are \(images.count) pictures")
    }
    return images[index]
  }

  func view(_ index: Int) throws(Failure) -> sparsedit_image_view {
    let image = try image(index)
    let copy = pixels.withLock { pixels in
      let copy = pixels[index] ?? HostPixels(image.pixels)
      pixels[index] = copy
      return copy
    }
    return sparsedit_image_view(image, pixels: copy.pointer, seed: seeds[index])
  }

  func jpeg(_ index: Int, quality: Int32) throws(Failure) -> [UInt8] {
    let image = try image(index)
    let quality = try checked(quality, in: RGBImage.qualities, named: "quality")
    return try engine { () throws(SparseDiTError) in
      try image.jpeg(quality: quality, parameters: parameters[index])
    }
  }
}

extension sparsedit_image_view {
  /// - Parameter pixels: those of `image`, at an address that lives as long as the view.
  init(_ image: RGBImage, pixels: UnsafePointer<UInt8>?, seed: UInt64) {
    self.init()
    struct_size = MemoryLayout<Self>.size
    width = Int32(clamping: image.width)
    height = Int32(clamping: image.height)
    stride = image.width * 3
    self.pixels = pixels
    self.seed = seed
  }
}

/// Pixels that live as long as this object.
private final class HostPixels: @unchecked Sendable {
  // Unchecked: never written after init.
  let pointer: UnsafePointer<UInt8>

  init(_ pixels: [UInt8]) {
    let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: pixels.count)
    copy.initialize(from: pixels, count: pixels.count)
    pointer = UnsafePointer(copy)
  }

  deinit { pointer.deallocate() }
}

@_cdecl("sparsedit_images_count")
@implementation
public func sparsedit_images_count(_ images: OpaquePointer!) -> Int {
  ImagesObject.object(of: images)?.images.count ?? 0
}

@_cdecl("sparsedit_images_create")
@implementation
public func sparsedit_images_create(
  _ view: UnsafePointer<sparsedit_image_view>!, _ parameters: UnsafePointer<CChar>!,
  _ parameters_length: Int, _ images: UnsafeMutablePointer<OpaquePointer?>!,
  _ message: UnsafeMutablePointer<CChar>!, _ message_capacity: Int
) -> sparsedit_status {
  images?.pointee = nil
  return answer(to: message, capacity: message_capacity) { () throws(Failure) in
    guard let images else { throw .argument("images is NULL") }
    let given = try sparsedit_image_view.read(
      view, named: "view", defaults: sparsedit_image_view())
    let text = try prompt(parameters, length: parameters_length, named: "parameters")
    images.pointee = ImagesObject(try given.image(), seed: given.seed, parameters: text)
      .makeHandle()
  }
}

extension sparsedit_image_view {
  /// A copy of the picture that the host shows.
  fileprivate func image() throws(Failure) -> RGBImage {
    let sides = 1...RGBImage.maxSide
    let width = try checked(width, in: sides, named: "view->width")
    let height = try checked(height, in: sides, named: "view->height")
    guard stride >= 3 * width else {
      throw .argument("view->stride is \(stride); a row has \(3 * width) bytes")
    }
    let (count, overflow) = stride.multipliedReportingOverflow(by: height - 1)
    guard !overflow, count <= Int.max - 3 * width else {
      throw .argument("view->stride is \(stride), too much for \(height) rows")
    }
    let bytes = try input(pixels, count: count + 3 * width, named: "view->pixels")
    var copy: [UInt8] = []
    copy.reserveCapacity(3 * width * height)
    for row in 0..<height { copy += bytes[row * stride..<row * stride + 3 * width] }
    return try engine { () throws(SparseDiTError) in
      try RGBImage(width: width, height: height, pixels: copy)
    }
  }
}

@_cdecl("sparsedit_images_parameters")
@implementation
public func sparsedit_images_parameters(
  _ images: OpaquePointer!, _ index: Int, _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int
) -> Int {
  let all = ImagesObject.object(of: images)?.parameters ?? []
  return copyText(all.indices.contains(index) ? all[index] : "", to: buffer, capacity: capacity)
}

@_cdecl("sparsedit_images_get_view")
@implementation
public func sparsedit_images_get_view(
  _ images: OpaquePointer!, _ index: Int, _ view: UnsafeMutablePointer<sparsedit_image_view>!
) -> sparsedit_status {
  guard let object = ImagesObject.object(of: images) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    try sparsedit_image_view.write(object.view(index), to: view, named: "view")
  }
}

@_cdecl("sparsedit_images_encode_jpeg")
@implementation
public func sparsedit_images_encode_jpeg(
  _ images: OpaquePointer!, _ index: Int, _ quality: Int32,
  _ bytes: UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>!,
  _ byte_count: UnsafeMutablePointer<Int>!
) -> sparsedit_status {
  bytes?.pointee = nil
  guard let object = ImagesObject.object(of: images) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    guard let bytes else { throw .argument("bytes is NULL") }
    guard let byte_count else { throw .argument("byte_count is NULL") }
    let encoded = try object.jpeg(index, quality: quality)
    // malloc, because sparsedit_free() does not know the size.
    guard let copy = malloc(encoded.count) else {
      throw Failure(.outOfMemory("no memory for a JPEG of \(encoded.count) bytes"))
    }
    copy.copyMemory(from: encoded, byteCount: encoded.count)
    bytes.pointee = copy.assumingMemoryBound(to: UInt8.self)
    byte_count.pointee = encoded.count
  }
}

@_cdecl("sparsedit_images_save_jpeg")
@implementation
public func sparsedit_images_save_jpeg(
  _ images: OpaquePointer!, _ index: Int, _ quality: Int32, _ path: UnsafePointer<CChar>!
) -> sparsedit_status {
  guard let object = ImagesObject.object(of: images) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    let destination = try SparseDiTC.path(path, named: "path")
    let encoded = try object.jpeg(index, quality: quality)
    try engine { () throws(SparseDiTError) in try AtomicFile.write(encoded, to: destination) }
  }
}

@_cdecl("sparsedit_images_message")
@implementation
public func sparsedit_images_message(
  _ images: OpaquePointer!, _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int
) -> Int {
  guard let object = ImagesObject.object(of: images) else {
    return copyText("", to: buffer, capacity: capacity)
  }
  return object.message.copy(to: buffer, capacity: capacity)
}

@_cdecl("sparsedit_images_destroy")
@implementation
public func sparsedit_images_destroy(_ images: OpaquePointer!) {
  ImagesObject.destroy(handle: images)
}
