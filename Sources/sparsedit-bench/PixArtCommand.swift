import ArgumentParser
import SparseDiT
import Tensors

struct PixArtCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pixart",
    abstract: "One guided forward (batch 2) of a model folder's transformer.")

  @OptionGroup var settings: Settings

  @Argument(help: "Model folder; only its transformer is read.")
  var model: String

  @Option(help: "Side of the picture in pixels.")
  var size = 256

  @Option(help: "Text tokens.")
  var text = 120

  @Option(help: "Pruning rates of the sparse run: MIN,MAX.")
  var rates = "0.61,0.86"

  func run() throws {
    let numbers = rates.split(separator: ",").compactMap { Double($0) }
    guard numbers.count == 2 else { throw ValidationError("--rates must be two numbers: MIN,MAX") }
    guard size > 0, size % 8 == 0 else {
      throw ValidationError("--size must be a positive multiple of 8")
    }
    let choices: [(String, SparsityChoice)] = [
      ("dense", .dense), ("sparse", .rates(min: numbers[0], max: numbers[1])),
    ]
    let forward = try GuidedForward(
      folder: ModelFolder(directory: model), precision: settings.precision, side: size / 8,
      textLength: text)
    let (settings, thread) = (settings, try ComputeThread())
    for (name, choice) in choices {
      let seconds = try thread.sync { () throws(SparseDiTError) in
        try forward.seconds(choice, settings)
      }
      print(
        settings.json
          ? "{\"name\": \"\(name)\", \"precision\": \"\(settings.precision)\", "
            + "\"seconds\": \(seconds)}"
          : "\(name) \(settings.precision): \(seconds) s")
    }
  }
}

/// Both halves of a guided prediction, from random latents and text.
private struct GuidedForward: Sendable {
  let backbone: Backbone
  let side: Int
  let textLength: Int

  init(
    folder: ModelFolder, precision: Precision, side: Int, textLength: Int
  ) throws(SparseDiTError) {
    backbone = try Backbone(
      BackboneConfig(folder.config("transformer/config.json")), folder, precision: precision,
      budget: nil)
    self.side = side
    self.textLength = textLength
  }

  /// Median over runs, at the middle of the schedule.
  func seconds(
    _ choice: SparsityChoice, _ settings: Settings
  ) throws(SparseDiTError) -> Double {
    let compute = try Compute(threads: settings.threads, precision: settings.precision)
    let config = backbone.config
    let grid = try backbone.grid(latentHeight: side, latentWidth: side)
    let timestep = 500.0
    let plan = try BackbonePlanner(choice, config: config).plan(for: grid, at: timestep)
    let latents = try compute.filled([2, config.inChannels, side, side], .f32)
    let words = try compute.filled([2, textLength, config.textChannels], .f32)
    let pixels = Double(8 * side)
    let text = try backbone.prepareText(
      words, mask: [Float](repeating: 1, count: 2 * textLength),
      sizes: [PictureSize(height: pixels, width: pixels, aspectRatio: 1)], on: compute)
    return try median(of: settings.runs) { () throws(SparseDiTError) in
      _ = try backbone.forward(
        latents, timestep: timestep, .text(text), plan: plan, on: compute)
    }
  }
}
