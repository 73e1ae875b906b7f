import ArgumentParser
import SparseDiT
import Tensors

/// Describes `sparsedit-t2i import` for `--help`.
struct ImportCommand: ParsableCommand {
  static let name = "import"

  static let configuration = CommandConfiguration(
    commandName: name,
    _superCommandName: Program.name,
    abstract: "Turns published checkpoints into one folder that opens at once.",
    usage: "\(Program.name) \(name) [<options>] <source> ... <folder>",
    discussion: """
      A source is a file (.safetensors, or .bin, .pt and .pth of PyTorch, in which nothing is run) or a \
      folder of diffusers or transformers. Weights may have the names of diffusers, of PixArt's \
      authors, and of DiT's and SparseDiT's. The first source that has a part of the model gives it.

      Examples:
        sparsedit-t2i import PixArt-XL-2-512x512.pth sd-vae-ft-ema t5-v1_1-xxl PixArt-512
        sparsedit-t2i import PixArt-Sigma-XL-2-512-MS pixart_sigma_sdxlvae_T5_diffusers Sigma-512
        sparsedit-t2i import DiT-XL-2-256x256.pt sd-vae-ft-ema model_index.json DiT-256 --format f32

      Folder and files appear when everything is on disk, or not at all.
      """)

  @Argument(
    help: ArgumentHelp("Source files and folders, then the folder to make.", valueName: "path"))
  var paths: [String]

  @Option(
    help: ArgumentHelp(
      "The type in which weights are stored: bf16, f32 or f16 (default: bf16).", valueName: "type"),
    transform: formatName)
  var format = ImportOptions.Format.bf16

  @Option(
    help: ArgumentHelp(
      "Weights of folders that have them in several variants, such as fp16.", valueName: "name"))
  var variant: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Width and height of the pictures that the transformer was trained on. Without it: as its"
        + " configuration, its position table or its file's name says.",
      valueName: "pixels"), transform: integer)
  var size: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Attention heads of a transformer without a configuration. Without it: those of DiT-S, B, L and"
        + " XL by their width.", valueName: "count"), transform: integer)
  var heads: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Sparse tokens on each side, for a SparseDiT of its authors (default: 8).",
      valueName: "tokens"),
    transform: integer)
  var sparseGrid = 8

  @Option(
    help: ArgumentHelp(
      "alpha or sigma, where neither weights nor folders tell which PixArt it is.",
      valueName: "name"), transform: generationName)
  var generation: ImportOptions.Generation?

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  mutating func validate() throws {
    guard paths.count >= 2 else {
      throw ValidationError("a source and the folder to make are needed (see --help)")
    }
  }

  var options: ImportOptions {
    ImportOptions(
      format: format, variant: variant, size: size, heads: heads, sparseGrid: sparseGrid,
      generation: generation)
  }
}

@Sendable private func formatName(_ text: String) throws -> ImportOptions.Format {
  guard let value = ImportOptions.Format(rawValue: text) else {
    throw ValidationError("bf16, f32 or f16 is needed")
  }
  return value
}

@Sendable private func generationName(_ text: String) throws -> ImportOptions.Generation {
  guard let value = ImportOptions.Generation(rawValue: text) else {
    throw ValidationError("alpha or sigma is needed")
  }
  return value
}
