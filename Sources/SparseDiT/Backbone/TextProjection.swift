import Tensors

/// Turns text features into the width of the backbone: Ct → D → D with tanh GELU.
struct TextProjection: Sendable {
  let first: Linear
  let second: Linear

  init(_ reader: WeightReader, _ config: BackboneConfig, channels: Int) throws(SparseDiTError) {
    first = try reader.linear("caption_projection.linear_1", in: channels, out: config.width)
    second = try reader.linear("caption_projection.linear_2", in: config.width, out: config.width)
  }

  func forward(_ text: Tensor, on compute: Compute) throws(SparseDiTError) -> Tensor {
    try compute.linear(try compute.linear(text, first, activation: .gelu), second)
  }
}
