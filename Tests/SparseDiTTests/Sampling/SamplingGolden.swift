import Foundation

@testable import SparseDiT

/// `Tests/Golden/sampling`: what torch and diffusers computed, by `make_sampling_golden.py`.
enum SamplingGolden {
  struct Noise: Decodable {
    struct Draw: Decodable {
      let seed: String
      let size: Int
      /// f32 bits of all values, or for large draws their digest.
      let values: String?
      let sha256: String?
    }
    struct Sequence: Decodable {
      let seed: String
      let sizes: [Int]
      let values: [String]
    }
    let draws: [Draw]
    let sequences: [Sequence]
    let long: Draw
  }

  struct Solver: Decodable {
    let runs: [Run]
    let plans: [Plan]
  }

  struct Run: Decodable {
    let name: String
    let steps: Int
    let timesteps: [Double]
    let sigmas, start: String
    let outputs, samples: [String]
    let lastInF64: [Double]
    let errorOfF32: Double
  }

  struct Plan: Decodable {
    let name: String
    let steps: Int
    let timesteps: [Double]
    let sigmas: String
  }

  struct Samplers: Decodable {
    let runs: [SamplerRun]
    let plans: [SamplerPlan]
  }

  /// A run of DDPM, DDIM or Euler.
  struct SamplerRun: Decodable {
    let name: String
    let eta: Double
    let steps: Int
    let seed: UInt64
    let initialNoiseScale: Float
    let timesteps: [Double]
    let start: String
    /// What the model is given, where it is not the sample itself.
    let inputs: [String]?
    let outputs, samples: [String]
    let lastInF64: [Double]
    let errorOfF32: Double
  }

  struct SamplerPlan: Decodable {
    let name: String
    let steps: Int
    let initialNoiseScale: Float
    let timesteps: [Double]
    let sigmas: String?
  }

  struct Pipelines: Decodable {
    let runs: [PipelineRun]
  }

  /// A whole run of the pipeline in `pixart-alpha`.
  struct PipelineRun: Decodable {
    let sampler, prompt, pixels: String
    let eta: Double
    let width, height, steps, count: Int
    let seed: UInt64
  }

  static func pipelines() throws -> Pipelines { try decode("pipelines") }
  static func noise() throws -> Noise { try decode("noise") }
  static func solver() throws -> Solver { try decode("solver") }
  static func samplers() throws -> Samplers { try decode("samplers") }

  /// The `config` objects of runs and plans by name, as the JSON text that a model folder would hold.
  static func configs(of file: String = "solver") throws -> [String: ConfigObject] {
    let object = try JSONSerialization.jsonObject(with: Data(contentsOf: url(file)))
    var result: [String: ConfigObject] = [:]
    for list in ["runs", "plans"] {
      for entry in (object as? [String: Any])?[list] as? [[String: Any]] ?? [] {
        guard let name = entry["name"] as? String, let config = entry["config"] else { continue }
        let text = try JSONSerialization.data(withJSONObject: config)
        result[list + "/" + name] = try schedulerConfig(String(decoding: text, as: UTF8.self))
      }
    }
    return result
  }

  private static func url(_ name: String) -> URL {
    GoldenData.root.appending(path: "sampling/\(name).json")
  }

  private static func decode<Content: Decodable>(_ name: String) throws -> Content {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Content.self, from: Data(contentsOf: url(name)))
  }
}

/// A configuration from text, named as in a model folder.
func schedulerConfig(_ json: String) throws -> ConfigObject {
  let bytes = Array(json.utf8)
  return try bytes.withUnsafeBytes { bytes in
    try ModelFolder(name: "test", embedded: ["scheduler/scheduler_config.json": bytes])
      .config("scheduler/scheduler_config.json")
  }
}

/// f32 bits as little-endian hex, the form of the golden files.
func hex(_ values: some Sequence<Float>) -> String {
  let digits = Array("0123456789abcdef".utf8)
  var text: [UInt8] = []
  for value in values {
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes in
      for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    }
  }
  return String(decoding: text, as: UTF8.self)
}

/// The inverse of ``hex(_:)``.
func floats(hex text: String) -> [Float] {
  let nibbles = text.utf8.map { UInt32($0 > 0x39 ? $0 - 0x57 : $0 - 0x30) }
  return stride(from: 0, to: nibbles.count, by: 8).map { start in
    var pattern: UInt32 = 0
    for byte in 0..<4 {
      pattern |=
        (nibbles[start + 2 * byte] << 4 | nibbles[start + 2 * byte + 1]) << (8 * UInt32(byte))
    }
    return Float(bitPattern: pattern)
  }
}
