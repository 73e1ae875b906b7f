import CJPEG
import Tensors

/// A picture of 8 bits per channel, row-major RGB without padding.
public struct RGBImage: Sendable, Hashable {
  public let width: Int
  public let height: Int
  /// `height * width * 3` bytes.
  public let pixels: [UInt8]

  /// The longest side in pixels that libjpeg writes.
  public static let maxSide = 65_500

  /// - Throws: `invalidArgument` when a side is not in 1 … ``maxSide`` or `pixels` has another size.
  public init(width: Int, height: Int, pixels: [UInt8]) throws(SparseDiTError) {
    let sides = 1...Self.maxSide
    guard sides.contains(width), sides.contains(height) else {
      throw .invalidArgument(
        "an image of \(width)×\(height) pixels is not in 1…\(Self.maxSide) per side")
    }
    guard pixels.count == width * height * 3 else {
      throw .invalidArgument(
        "an RGB image of \(width)×\(height) has \(width * height * 3) bytes, not \(pixels.count)")
    }
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// Takes one picture from what the autoencoder decoded, as diffusers' image processor does:
  /// clamp(x/2 + 1/2, 0, 1) · 255, rounded half to even.
  ///
  /// - Parameters:
  ///   - decoded: contiguous f32 [batch, 3, height, width], about −1 … 1.
  ///   - index: which picture of the batch.
  /// - Throws: `internalFailure` when a value is NaN or infinite: better no picture than a black one.
  public init(decoded: Tensor, index: Int) throws(SparseDiTError) {
    guard decoded.shape.rank == 4, decoded.shape[1] == 3, decoded.dtype == .f32,
      (0..<decoded.shape[0]).contains(index)
    else {
      throw .internalFailure("cannot take picture \(index) from a tensor \(decoded.shape)")
    }
    let (height, width) = (decoded.shape[2], decoded.shape[3])
    let plane = height * width
    let values = decoded.f32[(index * 3 * plane)..<((index + 1) * 3 * plane)]
    var allFinite = true
    let pixels = [UInt8](unsafeUninitializedCapacity: 3 * plane) { pixels, count in
      let values = UnsafeBufferPointer(rebasing: values)
      for channel in 0..<3 {
        for place in 0..<plane {
          let value = values[channel * plane + place]
          allFinite = allFinite && value.isFinite
          pixels[place * 3 + channel] = Self.quantized(value)
        }
      }
      count = 3 * plane
    }
    guard allFinite else {
      throw .internalFailure("the decoded picture has NaN or infinite values")
    }
    try self.init(width: width, height: height, pixels: pixels)
  }

  private static func quantized(_ value: Float) -> UInt8 {
    // min and max in this order turn NaN into 0, which the caller reports.
    let unit = Float.minimum(Float.maximum(value * 0.5 + 0.5, 0), 1)
    return UInt8((unit * 255).rounded(.toNearestOrEven))
  }
}
