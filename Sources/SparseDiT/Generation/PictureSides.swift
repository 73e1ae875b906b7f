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

  /// - Throws: `invalidArgument` for a side of the request that is out of range or, where it is drawn
  ///   as it is, no multiple; `invalidData` when the model's own side is the fault.
  init(_ request: GenerationRequest, _ model: ModelOutline) throws(SparseDiTError) {
    let multiple = model.sizeMultiple
    let sampleSize = request.keepsExactSize ? nil : model.defaults.binSampleSize
    let unit = sampleSize == nil ? multiple : 1
    width = try Self.side("width", request.width, model, unit)
    height = try Self.side("height", request.height, model, unit)
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
    _ name: String, _ requested: Int?, _ model: ModelOutline, _ multiple: Int
  ) throws(SparseDiTError) -> Int {
    let side = requested ?? model.defaultSide
    guard let fault = fault(of: side, multiple) else { return side }
    throw requested == nil
      ? .invalidData("this model's own \(name) \(side) \(fault)")
      : .invalidArgument("\(name) \(side) \(fault)")
  }

  private static func fault(of side: Int, _ multiple: Int) -> String? {
    guard side > 0, side % multiple == 0 else {
      return multiple == 1
        ? "is not a positive number"
        : "is not a positive multiple of \(multiple), as this model needs"
    }
    return side > RGBImage.maxSide ? "is above the limit of \(RGBImage.maxSide) pixels" : nil
  }
}
