import Foundation
import Tensors

@testable import SparseDiT

/// One folder `Tests/Golden/sparse-*`: a small sparse backbone, inputs, and the outputs of the
/// PyTorch reference; `make_sparse_golden.py` describes the format.
struct SparseGolden {
  let name: String
  private let tensors: [String: (shape: [Int], bytes: Data)]

  init(_ name: String) throws {
    self.name = name
    let file = GoldenData.root.appending(path: name).appending(path: "golden.safetensors")
    tensors = try GoldenData.tensors(Data(contentsOf: file))
  }

  func backbone(_ precision: Precision) throws -> Backbone {
    let folder = try ModelFolder(directory: GoldenData.root.path)
    return try Backbone(
      config: BackboneConfig(folder.config("\(name)/config.json")),
      reader: folder.weights(name, base: "diffusion_pytorch_model", precision: precision))
  }

  func tensor(_ tensor: String) throws -> Tensor {
    guard let (shape, bytes) = tensors[tensor] else {
      throw GoldenData.Missing(tensor: tensor, folder: name)
    }
    let values = bytes.withUnsafeBytes { raw in
      (0..<shape.reduce(1, *)).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
    return try Tensor(values, Shape(shape))
  }

  func text(_ backbone: Backbone, _ compute: Compute) throws -> PreparedText {
    try backbone.prepareText(
      tensor("text"), mask: tensor("mask").floats(), on: compute)
  }

  /// The size conditions of each picture, empty for models without.
  func sizes() throws -> [PictureSize] {
    guard tensors["resolution"] != nil else { return [] }
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
      try tensors.keys.filter { $0.hasPrefix("output.") }.sorted().map { key in
        let parts = key.split(separator: ".").dropFirst().map { Double($0.dropFirst()) }
        guard let timestep = parts.first ?? nil else {
          throw GoldenData.Missing(tensor: key, folder: name)
        }
        return (key, timestep, parts.count > 1 ? parts[1].map { $0 / 100 } : nil)
      }
    }
  }
}
