import Tensors

@testable import SparseDiT

// One part of a model folder alone, with the configuration beside it.

extension Backbone {
  init(folder: ModelFolder, precision: Precision) throws {
    try self.init(
      BackboneConfig(folder.config("transformer/config.json")), folder, precision: precision,
      budget: nil)
  }
}

extension T5Encoder {
  init(folder: ModelFolder, precision: Precision) throws {
    try self.init(
      T5Config(folder.config("text_encoder/config.json")), folder, precision: precision,
      budget: nil)
  }
}

extension AutoencoderKL {
  init(folder: ModelFolder, precision: Precision) throws {
    try self.init(
      AutoencoderConfig(folder.config("vae/config.json")), folder, precision: precision,
      budget: nil)
  }
}
