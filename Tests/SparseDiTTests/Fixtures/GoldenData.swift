import Foundation

/// One folder of `Tests/Golden`: a small model and what diffusers computed with it. The format is
/// described in `Tests/Golden/README.md`.
///
/// The tensors are read by a few lines of code here and not by the engine's reader, whose faults
/// would stay hidden otherwise.
struct GoldenData {
  struct Caption: Decodable {
    let prompt: String
    /// Without padding; the last id is the end of the sentence.
    let ids: [Int32]
  }

  struct Forward: Decodable {
    let timestep: Double
    /// For each picture of the batch its row in `text.embedding`.
    let textRows: [Int]
  }

  struct Run: Decodable {
    let prompt, negativePrompt: String
    let width, height, steps, count: Int
    let guidanceScale: Double
    let seed: UInt64
    /// Whether diffusers cleaned the prompts and chose the size, as it does by default.
    let asByDefault: Bool?
  }

  private struct Description: Decodable {
    let maxLength, decode: Int
    let tokens, text: [Caption]
    let forward: [Forward]
    let runs: [Run]
  }

  /// Every PixArt folder.
  static let pixart = [
    "pixart-alpha", "pixart-conditions", "pixart-conditions-small", "pixart-sharded",
    "pixart-sigma", "pixart-velocity", "pixart-half", "pixart-bfloat16",
    "pixart-defaults",
  ]

  let name: String
  /// The model's folder.
  let path: String
  /// What prompts are padded to.
  let maxLength: Int
  let tokens: [Caption]
  /// The rows of `text.embedding`.
  let text: [Caption]
  let forwards: [Forward]
  let decodeCount: Int
  let runs: [Run]
  private let tensors: GoldenTensors

  init(_ name: String) throws {
    let folder = Self.root.appending(path: name)
    let text = try Data(contentsOf: folder.appending(path: "golden.json"))
    let description = try Self.decoder.decode(Description.self, from: text)
    self.name = name
    path = folder.path
    maxLength = description.maxLength
    tokens = description.tokens
    self.text = description.text
    forwards = description.forward
    decodeCount = description.decode
    runs = description.runs
    tensors = try GoldenTensors(of: name)
  }

  static var decoder: JSONDecoder {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return decoder
  }

  /// `Tests/Golden` of this checkout.
  static let root = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Golden")

  func floats(_ name: String) throws -> (values: [Float], shape: [Int]) { try tensors.floats(name) }
  func bytes(_ name: String) throws -> (values: [UInt8], shape: [Int]) { try tensors.bytes(name) }

  /// The captions' ids and masks, padded to `maxLength` and one after the other.
  func padded(_ captions: [Caption]) -> (ids: [Int32], mask: [Int32]) {
    let rows = captions.map { caption in
      let padding = [Int32](repeating: 0, count: maxLength - caption.ids.count)
      return (caption.ids + padding, caption.ids.map { _ in 1 } + padding)
    }
    return (rows.flatMap(\.0), rows.flatMap(\.1))
  }
}

/// What `golden.safetensors` of a folder of `Tests/Golden` holds.
struct GoldenTensors {
  private let folder: String
  private let tensors: [String: (shape: [Int], bytes: Data)]

  init(of folder: String) throws {
    let path = GoldenData.root.appending(path: folder).appending(path: "golden.safetensors")
    let file = try Data(contentsOf: path)
    let headerCount = Int(file.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
    let start = 8 + headerCount
    self.folder = folder
    tensors = try GoldenData.decoder.decode([String: Entry].self, from: file[8..<start])
      .mapValues { entry in
        let range = start + entry.dataOffsets[0]..<start + entry.dataOffsets[1]
        return (entry.shape, file.subdata(in: range))
      }
  }

  private struct Entry: Decodable {
    let shape, dataOffsets: [Int]
  }

  struct Missing: Error { let tensor, folder: String }

  var names: [String] { tensors.keys.sorted() }

  /// An f32 tensor's values in row-major order.
  func floats(_ name: String) throws -> (values: [Float], shape: [Int]) {
    let (shape, bytes) = try tensor(name)
    let values = bytes.withUnsafeBytes { raw in
      (0..<shape.reduce(1, *)).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
    return (values, shape)
  }

  /// A u8 tensor's values in row-major order.
  func bytes(_ name: String) throws -> (values: [UInt8], shape: [Int]) {
    let (shape, bytes) = try tensor(name)
    return ([UInt8](bytes), shape)
  }

  private func tensor(_ name: String) throws -> (shape: [Int], bytes: Data) {
    guard let tensor = tensors[name] else { throw Missing(tensor: name, folder: folder) }
    return tensor
  }
}

/// ‖actual − expected‖ ÷ ‖expected‖, in double precision; infinite where the counts differ.
func relativeError(_ actual: [Float], _ expected: [Float]) -> Double {
  guard actual.count == expected.count else { return .infinity }
  var difference = 0.0
  var norm = 0.0
  for (a, e) in zip(actual, expected) {
    difference += (Double(a) - Double(e)) * (Double(a) - Double(e))
    norm += Double(e) * Double(e)
  }
  return (difference / norm).squareRoot()
}
