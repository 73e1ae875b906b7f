import Tensors

/// The sizes of picture that PixArt models were trained on, one for each of some dozens of ratios of
/// height to width: `ASPECT_RATIO_256_BIN` and so on of diffusers.
///
/// A model draws well only near them. A picture of another size is drawn at the nearest one and then
/// brought to size, see ``Compute/resizedAndCropped(_:height:width:)``.
package enum ResolutionBinning {
  /// Pixels.
  package struct Bin: Sendable, Hashable {
    package let height: Int
    package let width: Int

    /// Rounded to hundredths, half to even, as in the names of diffusers' tables.
    var ratio: Double {
      (100 * Double(height) / Double(width)).rounded(.toNearestOrEven) / 100
    }
  }

  /// For pictures of about 1024 × 1024 pixels, by rising ratio. Those for 512 and 256 are a half and a
  /// quarter of it.
  private static let bins1024: [Bin] = [
    (512, 2048), (512, 1856), (576, 1792), (576, 1728), (576, 1664), (640, 1600), (640, 1536),
    (704, 1472), (704, 1408), (704, 1344), (768, 1344), (768, 1280), (832, 1216), (832, 1152),
    (896, 1152), (896, 1088), (960, 1088), (960, 1024), (1024, 1024), (1024, 960), (1088, 960),
    (1088, 896), (1152, 896), (1152, 832), (1216, 832), (1280, 768), (1344, 768), (1408, 704),
    (1472, 704), (1536, 640), (1600, 640), (1728, 576), (2048, 512),
  ].map(Bin.init)

  /// 2048 × 2048 has some more at the ends.
  private static let more2048: [Bin] = [
    (1024, 3968), (1024, 3840), (3584, 1152), (3712, 1024), (3840, 1024), (3968, 1024),
    (3328, 1152),
  ].map(Bin.init)

  /// By rising ratio; nil for models of another `sample_size` than 32, 64, 128 and 256, which were not
  /// trained so.
  package static func bins(sampleSize: Int) -> [Bin]? {
    func scaled(by factor: (Int) -> Int) -> [Bin] {
      bins1024.map { Bin(height: factor($0.height), width: factor($0.width)) }
    }
    switch sampleSize {
    case 32: return scaled { $0 / 4 }
    case 64: return scaled { $0 / 2 }
    case 128: return bins1024
    case 256: return (scaled { $0 * 2 } + more2048).sorted { $0.ratio < $1.ratio }
    default: return nil
    }
  }

  /// The size to draw a picture at: the first of those with the nearest ratio, as
  /// `classify_height_width_bin` finds it.
  /// - Parameters: pixels, above 0.
  package static func nearest(height: Int, width: Int, sampleSize: Int) -> Bin? {
    let ratio = Double(height) / Double(width)
    // `min` returns the first of equals.
    return bins(sampleSize: sampleSize)?.min { abs($0.ratio - ratio) < abs($1.ratio - ratio) }
  }
}

extension Compute {
  /// Pictures as large as needed to cover a size, by bilinear interpolation, and of these the middle:
  /// `resize_and_crop_tensor` of diffusers, with torch's `interpolate(mode: "bilinear",
  /// align_corners: False)`. What would be cut off is not computed.
  ///
  /// - Parameters:
  ///   - pictures: contiguous f32 [B, C, H, W].
  ///   - height: pixels, above 0.
  ///   - width: the same.
  /// - Returns: f32 [B, C, height, width]; `pictures` themselves if they have that size.
  package func resizedAndCropped(
    _ pictures: Tensor, height: Int, width: Int
  ) throws(SparseDiTError) -> Tensor {
    let shape = pictures.shape
    guard shape.rank == 4, pictures.dtype == .f32, shape[2] > 0, shape[3] > 0, height > 0, width > 0
    else {
      throw .internalFailure("cannot bring \(shape) to \(width)×\(height) pixels")
    }
    if shape[2] == height && shape[3] == width { return pictures }
    let scale = max(Double(height) / Double(shape[2]), Double(width) / Double(shape[3]))
    let rows = ResizedAxis(from: shape[2], to: height, scale: scale)
    let columns = ResizedAxis(from: shape[3], to: width, scale: scale)
    let result = try empty([shape[0], shape[1], height, width], .f32)
    let (source, target) = (UnsafeBufferPointer(pictures.f32), result.f32)
    for plane in 0..<shape[0] * shape[1] {
      for (y, row) in rows.samples.enumerated() {
        let upper = (plane * shape[2] + row.first) * shape[3]
        let lower = (plane * shape[2] + row.second) * shape[3]
        let start = (plane * height + y) * width
        for (x, column) in columns.samples.enumerated() {
          let above = column.mix(source[upper + column.first], source[upper + column.second])
          let below = column.mix(source[lower + column.first], source[lower + column.second])
          target[start + x] = row.mix(above, below)
        }
      }
    }
    return result
  }
}

/// Where the rows or columns of a resized and cropped picture come from.
private struct ResizedAxis {
  struct Sample {
    let first, second: Int
    /// Of the second.
    let weight: Float

    func mix(_ first: Float, _ second: Float) -> Float {
      (1 - weight) * first + weight * second
    }
  }

  let samples: [Sample]

  /// - Parameter scale: of the resizing; what is beyond `length` is cut off at both ends.
  init(from original: Int, to length: Int, scale: Double) {
    // diffusers rounds down, at times to one pixel less than is wanted, and then cuts out nearly
    // nothing.
    let resized = max(Int(Double(original) * scale), length)
    let start = (resized - length) / 2
    let step = Float(original) / Float(resized)
    samples = (start..<(start + length)).map { place in
      // Centres of pixels lie on centres. torch computes this in f32 and rounds once.
      let position = max((-0.5 as Float).addingProduct(step, Float(place) + 0.5), 0)
      let first = min(Int(position), original - 1)
      return Sample(
        first: first, second: min(first + 1, original - 1),
        weight: resized == original ? 0 : min(max(position - Float(first), 0), 1))
    }
  }
}
