import Glibc
import Tensors

/// Size of a picture in pixels, a condition of the 1024 models.
package struct PictureSize: Sendable, Hashable {
  package let height: Double
  package let width: Double
  /// Height over width, unless a caller's own loop says otherwise.
  package let aspectRatio: Double

  package init(height: Double, width: Double, aspectRatio: Double? = nil) {
    self.height = height
    self.width = width
    self.aspectRatio = aspectRatio ?? height / width
  }
}

/// What one block does to its norms and residuals: each f32 `[G, D]`, G = 1 or the batch.
struct Modulation {
  let attentionShift, attentionScale, attentionGate: Tensor
  let feedForwardShift, feedForwardScale, feedForwardGate: Tensor

  /// From `[G, 6·D]` in the order of the properties.
  init(_ values: Tensor) {
    let width = values.shape.columns / 6
    func part(_ index: Int) -> Tensor { values.columns(index * width..<(index + 1) * width) }
    attentionShift = part(0)
    attentionScale = part(1)
    attentionGate = part(2)
    feedForwardShift = part(3)
    feedForwardScale = part(4)
    feedForwardGate = part(5)
  }
}

/// PixArt's adaLN-single: the timestep (and picture size) gives modulation values once for all
/// blocks, to which each block adds a table of its own.
///
/// Source: PixArt-α (arXiv 2310.00426), section 2.3; names and arithmetic of diffusers.
struct AdaLNSingle: Sendable {
  let timestep: NumberEmbedding
  /// Of the 1024 models: one number gives D/3 channels; height, width and aspect ratio give D.
  let size: (resolution: NumberEmbedding, aspectRatio: NumberEmbedding)?
  let linear: Linear

  init(_ reader: WeightReader, _ config: BackboneConfig) throws(SparseDiTError) {
    let width = config.width
    let name = "adaln_single"
    timestep = try NumberEmbedding(reader, "\(name).emb.timestep_embedder", width)
    size =
      config.usesPictureSize
      ? (
        try NumberEmbedding(reader, "\(name).emb.resolution_embedder", width / 3),
        try NumberEmbedding(reader, "\(name).emb.aspect_ratio_embedder", width / 3)
      ) : nil
    linear = try reader.linear("\(name).linear", in: width, out: 6 * width)
  }

  /// - Parameter sizes: for the 1024 models one per picture of the batch, or one for all.
  /// - Returns: the shared modulation values `[G, 6·D]` and the embedded timestep `[G, D]`, f32,
  ///   G = max(1, sizes.count).
  func forward(
    timestep t: Double, sizes: [PictureSize], on compute: Compute
  ) throws(SparseDiTError) -> (modulation: Tensor, embedded: Tensor) {
    let groups = size == nil ? 1 : sizes.count
    let embedded = try timestep.forward(  // [G, D]
      Array(repeating: Float(t), count: groups), on: compute)
    if let size {
      let resolutions = try size.resolution.forward(  // [2·G, D/3]
        sizes.flatMap { [Float($0.height), Float($0.width)] }, on: compute)
      let ratios = try size.aspectRatio.forward(  // [G, D/3]
        sizes.map { Float($0.aspectRatio) }, on: compute)
      let third = ratios.shape.columns
      try compute.add(
        resolutions.reshaped([groups, 2 * third]), to: embedded.columns(0..<2 * third))
      try compute.add(ratios, to: embedded.columns(2 * third..<3 * third))
    }
    let activated = try compute.silu(embedded)  // [G, D]
    return (try compute.linear(activated, linear, output: .f32), embedded)
  }
}

/// A number as a vector: 128 cosines and 128 sines of it, then two linear layers with SiLU between.
struct NumberEmbedding: Sendable {
  let first: Linear
  let second: Linear
  private static let waves = 128

  init(_ reader: WeightReader, _ name: String, _ width: Int) throws(SparseDiTError) {
    first = try reader.linear("\(name).linear_1", in: 2 * Self.waves, out: width)
    second = try reader.linear("\(name).linear_2", in: width, out: width)
  }

  /// n numbers → f32 `[n, width]`.
  func forward(_ numbers: [Float], on compute: Compute) throws(SparseDiTError) -> Tensor {
    let features = try Tensor(
      numbers.flatMap(Self.features), [numbers.count, 2 * Self.waves])
    let hidden = try compute.linear(features, first, activation: .silu)
    return try compute.linear(hidden, second, output: .f32)
  }

  /// Cosines, then sines of number·10000^(−i/128); f32 in this order, as diffusers does: angles
  /// reach 999, so one rounding more would show.
  static func features(_ number: Float) -> [Float] {
    let angles = (0..<waves).map { index in
      number * expf(Float(-log(10_000.0)) * Float(index) / Float(waves))
    }
    return angles.map(cosf) + angles.map(sinf)
  }
}
