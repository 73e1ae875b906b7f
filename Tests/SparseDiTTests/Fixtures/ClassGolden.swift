import Foundation

@testable import SparseDiT

/// One folder `Tests/Golden/dit-*`: a small model that draws classes, and what diffusers or the code
/// of SparseDiT's authors computed with it. The format is described in `Tests/Golden/README.md`.
struct ClassGolden {
  struct Forward: Decodable {
    let timestep: Double
    /// For each picture of the batch; as many as there are classes is the label of none.
    let labels: [Int]
  }

  struct Run: Decodable {
    let label, width, height, steps, count: Int
    let guidanceScale: Double
    let seed: UInt64
    /// Nil is the folder's.
    let sampler: String?

    var request: GenerationRequest {
      GenerationRequest(
        classLabel: label, width: width, height: height, steps: steps,
        guidanceScale: guidanceScale, seed: seed, count: count,
        sampler: sampler.flatMap(SamplerKind.init))
    }
  }

  private struct Description: Decodable {
    let forward: [Forward]
    let runs: [Run]
  }

  /// Made by diffusers.
  static let diffusers = ["dit-alone", "dit-published", "dit-half"]
  /// Made by the authors' code.
  static let original = [
    "dit-original-256", "dit-original-512", "dit-original-dense", "dit-original-eight",
  ]

  /// The model's folder.
  let path: String
  let forwards: [Forward]
  let runs: [Run]
  let tensors: GoldenTensors

  init(_ name: String) throws {
    let folder = GoldenData.root.appending(path: name)
    let text = try Data(contentsOf: folder.appending(path: "golden.json"))
    let description = try GoldenData.decoder.decode(Description.self, from: text)
    path = folder.path
    forwards = description.forward
    runs = description.runs
    tensors = try GoldenTensors(of: name)
  }

  func folder() throws -> ModelFolder { try ModelFolder(directory: path) }
}
