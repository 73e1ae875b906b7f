import CJPEG
import Tensors

extension RGBImage {
  /// Qualities on libjpeg's scale.
  public static let qualities = 1...100
  /// The quality where none is given.
  public static let usualQuality = 92

  /// The picture as a baseline JPEG file with optimised Huffman tables; full chroma resolution at
  /// quality 90 and above.
  ///
  /// - Parameters:
  ///   - quality: in ``qualities``.
  ///   - parameters: text to carry in the EXIF UserComment, where AUTOMATIC1111's web UI and
  ///     Civitai look for prompt and settings. What does not fit in 64 KiB is cut, with a mark.
  /// - Throws: `invalidArgument` for the quality, `outOfMemory`, `internalFailure`.
  public func jpeg(
    quality: Int = Self.usualQuality, parameters: String? = nil
  ) throws(SparseDiTError) -> [UInt8] {
    let qualities = Self.qualities
    guard qualities.contains(quality) else {
      throw .invalidArgument(
        "JPEG quality \(quality) is not in \(qualities.lowerBound)…\(qualities.upperBound)")
    }
    let exif = parameters.map(EXIF.userComment)
    var output: UnsafeMutablePointer<UInt8>?
    var size = 0
    var message = [CChar](repeating: 0, count: Int(CJPEG_MESSAGE_SIZE))
    let status = pixels.withUnsafeBufferPointer { pixels in
      (exif ?? []).withUnsafeBufferPointer { exif in
        var picture = cjpeg_picture(
          pixels: pixels.baseAddress, width: UInt32(width), height: UInt32(height),
          exif: exif.isEmpty ? nil : exif.baseAddress, exif_size: exif.count)
        return cjpeg_encode(&picture, Int32(quality), &output, &size, &message)
      }
    }
    defer { cjpeg_free(output) }
    guard status == CJPEG_OK, let output else {
      if status == CJPEG_OUT_OF_MEMORY {
        throw .outOfMemory("no memory to encode a JPEG of \(width)×\(height) pixels")
      }
      let text = String(
        decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      throw .internalFailure("libjpeg: \(text)")
    }
    return [UInt8](UnsafeBufferPointer(start: output, count: size))
  }
}
