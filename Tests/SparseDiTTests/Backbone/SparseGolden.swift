import Tensors

@testable import SparseDiT

/// One folder `Tests/Golden/sparse-*`: a small sparse backbone, inputs, and the outputs of the
/// PyTorch reference; `make_sparse_golden.py` describes the format.
struct SparseGolden {
  let name: String
  private let tensors: GoldenTensors

  init(_ name: String) throws {
    self.name = name
    tensors = try GoldenTensors(of: name)
  }

  func backbone(_ precision: Precision) throws -> Backbone {
    let folder = try ModelFolder(directory: GoldenData.root.path)
    return try Backbone(
      config: BackboneConfig(folder.config("\(name)/config.json")),
      reader: folder.weights(name, base: "diffusion_pytorch_model", precision: precision))
  }

  func tensor(_ tensor: String) throws -> Tensor {
    let (values, shape) = try tensors.floats(tensor)
    return try Tensor(values, Shape(shape))
  }

  func text(_ backbone: Backbone, _ compute: Compute) throws -> PreparedText {
    try backbone.prepareText(
      tensor("text"), mask: tensor("mask").floats(), sizes: sizes(), on: compute)
  }

  /// The size conditions of each picture, empty for models without.
  private func sizes() throws -> [PictureSize] {
    guard tensors.names.contains("resolution") else { return [] }
    let sides = try tensor("resolution").floats()
    let ratios = try tensor("aspect_ratio").floats()
    return ratios.enumerated().map { index, ratio in
      PictureSize(
        height: Double(sides[2 * index]), width: Double(sides[2 * index + 1]),
        aspectRatio: Double(ratio))
    }
  }

  /// The tensors "output.t<timestep>" and "output.t<timestep>.r<percent>".
  var outputs: [(tensor: String, timestep: Double, rate: Double?)] {
    get throws {
      try tensors.names.filter { $0.hasPrefix("output.") }.map { key in
        let parts = key.split(separator: ".").dropFirst().map { Double($0.dropFirst()) }
        guard let timestep = parts.first ?? nil else {
          throw GoldenTensors.Missing(tensor: key, folder: name)
        }
        return (key, timestep, parts.count > 1 ? parts[1].map { $0 / 100 } : nil)
      }
    }
  }
}
