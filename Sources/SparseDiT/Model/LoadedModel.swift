import Tensors

/// An outline with its weights: immutable, shared freely.
package struct LoadedModel: Sendable {
  package let outline: ModelOutline
  package let condition: Condition<PromptEncoder, ImageClasses>
  package let backbone: Backbone
  package let autoencoder: AutoencoderKL
  /// Bytes of the weights that had to be converted; the others lie in mapped files.
  let convertedBytes: Int

  /// Reads a diffusers pipeline folder.
  ///
  /// - Parameter memoryLimit: most bytes that converted weights may take; nil for no limit.
  init(
    _ folder: ModelFolder, precision: Precision, memoryLimit: Int?
  ) throws(SparseDiTError) {
    outline = try ModelOutline(folder)
    let budget = WeightBudget(limit: memoryLimit)
    switch outline.condition {
    case .text(let config):
      condition = .text(
        try PromptEncoder(config, folder, precision: precision, budget: budget))
    case .classes(let classes): condition = .classes(classes)
    }
    backbone = try Backbone(outline.backbone, folder, precision: precision, budget: budget)
    autoencoder = try AutoencoderKL(
      outline.autoencoder, folder, precision: precision, budget: budget)
    convertedBytes = budget.taken
  }

  package var name: String { outline.name }

  /// The sampler that the folder names, or the one picked in its place.
  ///
  /// - Throws: `invalidArgument` for an η that makes no sense.
  func sampler(
    _ kind: SamplerKind? = nil, eta: Double = 0
  ) throws(SparseDiTError) -> any Sampler {
    guard let sampler = try outline.sampler(kind, eta: eta) else {
      throw .internalFailure("\(name) has no scheduler")
    }
    return sampler
  }
}
