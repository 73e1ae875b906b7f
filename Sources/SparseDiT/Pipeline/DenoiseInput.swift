import Tensors

/// Sizes of a batch of latents.
package struct LatentSize: Sendable, Hashable {
  package let batch: Int
  package let height: Int
  package let width: Int

  package init(batch: Int, height: Int, width: Int) {
    self.batch = batch
    self.height = height
    self.width = width
  }
}

/// What ``PipelineStages/denoise(_:into:_:)`` takes.
package struct DenoiseInput {
  package let size: LatentSize
  /// `[batch, latentChannels, height, width]`
  package let latents: UnsafeBufferPointer<Float>
  /// Training timestep, 0 = data, one for the batch.
  package let timestep: Double
  package let condition: Condition<TextFeatures, [Int]>
  package let sparsity: SparsityChoice
  /// As ``GenerationRequest/tokenSchedule``.
  package let tokenSchedule: TokenScheduleKind?

  package init(
    size: LatentSize, latents: UnsafeBufferPointer<Float>, timestep: Double,
    condition: Condition<TextFeatures, [Int]>, sparsity: SparsityChoice,
    tokenSchedule: TokenScheduleKind? = nil
  ) {
    self.size = size
    self.latents = latents
    self.timestep = timestep
    self.condition = condition
    self.sparsity = sparsity
    self.tokenSchedule = tokenSchedule
  }
}

/// Text features from a caller's own text encoder, or from ``PipelineStages``.
package struct TextFeatures {
  /// `[batch, length, textChannels]`
  package let features: UnsafeBufferPointer<Float>
  /// `[batch, length]`: 1 for a token and 0 for padding.
  package let mask: [Int32]
  package let length: Int

  package init(_ features: UnsafeBufferPointer<Float>, mask: [Int32], length: Int) {
    self.features = features
    self.mask = mask
    self.length = length
  }
}
