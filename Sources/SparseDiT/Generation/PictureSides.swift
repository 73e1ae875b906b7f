import Tensors

/// The size of a picture, and the size at which the model draws it before it is brought to that. In
/// pixels.
package struct PictureSides: Sendable, Hashable {
  package let width: Int
  package let height: Int
  package let drawnWidth: Int
  package let drawnHeight: Int

  package var isResized: Bool { width != drawnWidth || height != drawnHeight }

  /// Of the picture; nil where it is not resized.
  var resizedPixels: Int? { isResized ? width * height : nil }

  /// Longest side in pixels that libjpeg writes.
  static let maxSide = 65_500

  /// - Parameters:
  ///   - side: the model's own, for sides that the request leaves open.
  ///   - multiple: what drawn sides must be multiples of.
  /// - Throws: `invalidArgument` for a side of the request that is out of range or, where it is drawn
  ///   as it is, no multiple; `invalidData` when the model's own side is the fault.
  init(
    _ request: GenerationRequest, side: Int, multiple: Int, defaults: DiffusersDefaults
  ) throws(SparseDiTError) {
    let sampleSize = request.keepsExactSize ? nil : defaults.binSampleSize
    let unit = sampleSize == nil ? multiple : 1
    width = try Self.side("width", request.width, side, unit)
    height = try Self.side("height", request.height, side, unit)
    guard let sampleSize,
      let bin = ResolutionBinning.nearest(height: height, width: width, sampleSize: sampleSize)
    else {
      (drawnWidth, drawnHeight) = (width, height)
      return
    }
    (drawnWidth, drawnHeight) = (bin.width, bin.height)
    guard bin.width % multiple == 0, bin.height % multiple == 0 else {
      throw .invalidArgument(
        "\(width)×\(height) would be drawn at \(bin.width)×\(bin.height), and these are not"
          + " multiples of \(multiple), as this model needs; ask for the exact size")
    }
  }

  /// A side of the picture: the request's, whose mistakes are the caller's, or else the model's.
  private static func side(
    _ name: String, _ requested: Int?, _ fallback: Int, _ multiple: Int
  ) throws(SparseDiTError) -> Int {
    guard let requested else {
      if let fault = fault(of: fallback, multiple) {
        throw .invalidData("this model's own \(name) \(fallback) \(fault)")
      }
      return fallback
    }
    if let fault = fault(of: requested, multiple) {
      throw .invalidArgument("\(name) \(requested) \(fault)")
    }
    return requested
  }

  private static func fault(of side: Int, _ multiple: Int) -> String? {
    guard side > 0, side % multiple == 0 else {
      return multiple == 1
        ? "is not a positive number"
        : "is not a positive multiple of \(multiple), as this model needs"
    }
    return side > maxSide ? "is above the limit of \(maxSide) pixels" : nil
  }
}
