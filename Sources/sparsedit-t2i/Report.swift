import FoundationEssentials
import SparseDiT

/// What `--json` prints: one object per run of the program.
struct Report: Encodable {
  let version: String
  let threads: Int
  /// Of the last picture; the same for all.
  private(set) var model = ""
  private(set) var precision = ""
  /// Seconds that loading the model took.
  private(set) var loadSeconds = 0.0
  /// In the order in which they were drawn.
  private(set) var images: [Picture] = []

  init(version: String, threads: Int) {
    self.version = version
    self.threads = threads
  }

  mutating func add(_ result: GenerationResult, file: String) {
    model = result.report.model
    precision = result.report.precision.rawValue
    loadSeconds = result.report.seconds.load
    images.append(Picture(file: file, seed: result.seeds[0], report: result.report))
  }

  struct Picture: Encodable {
    let file: String
    let prompt: String
    let negativePrompt: String
    /// Of a picture of a class; missing otherwise, the name also where the model has none.
    let classLabel: Int?
    let className: String?
    let seed: UInt64
    let width: Int
    let height: Int
    /// Before it was brought to that size.
    let drawnWidth: Int
    let drawnHeight: Int
    let cleanCaption: Bool
    let steps: Int
    let guidanceScale: Double
    let sampler: String
    /// Training timestep of each step, and how many tokens the sparse blocks saw in it.
    let timesteps: [Double]
    let tokensPerStep: [Int]
    let denseTokens: Int
    let seconds: Seconds
    let peakBytes: Int
  }

  struct Seconds: Encodable {
    let text: Double
    let denoise: Double
    let decode: Double
    let total: Double
  }

  var json: String { encoded(self) }
}

/// A report as JSON.
func encoded(_ report: some Encodable) -> String {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  // Nothing in one can fail to encode: every number is finite.
  return (try? encoder.encode(report)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
}

extension Report.Picture {
  init(file: String, seed: UInt64, report: GenerationReport) {
    self.file = file
    self.seed = seed
    prompt = report.request.prompt
    negativePrompt = report.request.negativePrompt
    classLabel = report.request.classLabel
    className = report.className
    width = report.width
    height = report.height
    drawnWidth = report.drawnWidth
    drawnHeight = report.drawnHeight
    cleanCaption = report.cleansCaptions
    steps = report.request.steps
    guidanceScale = report.request.guidanceScale
    sampler = report.sampler
    timesteps = report.timesteps
    tokensPerStep = report.tokens
    denseTokens = report.denseTokens
    seconds = Report.Seconds(
      text: report.seconds.text, denoise: report.seconds.denoise, decode: report.seconds.decode,
      total: report.seconds.total)
    peakBytes = report.peakBytes
  }
}
