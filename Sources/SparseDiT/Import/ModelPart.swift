import Tensors

/// A part of a pipeline, which has a folder of its own.
enum ModelPart: String, CaseIterable, Sendable {
  case transformer
  case textEncoder = "text_encoder"
  case tokenizer
  case vae
  case scheduler

  /// What messages call it.
  var title: String {
    switch self {
    case .transformer: "transformer"
    case .textEncoder: "text encoder"
    case .tokenizer: "tokenizer"
    case .vae: "autoencoder"
    case .scheduler: "scheduler"
    }
  }

  /// What its weights are called in folders, without the ending; the first where they are written.
  var weightNames: [String] {
    switch self {
    case .transformer, .vae: ["diffusion_pytorch_model"]
    case .textEncoder: ["model", "pytorch_model"]
    case .tokenizer, .scheduler: []
    }
  }

  /// The files of it that are taken over as they are.
  static let tokenizerFiles = [
    "added_tokens.json", "special_tokens_map.json", "spiece.model", "tokenizer.json",
    "tokenizer_config.json",
  ]
}

/// Whose names the weights of a part have, by which they are recognised.
enum WeightNames: Sendable, Equatable {
  /// diffusers' `PixArtTransformer2DModel`.
  case pixArt
  /// PixArt's authors.
  case originalPixArt
  /// diffusers' `DiTTransformer2DModel`.
  case dit
  /// The authors of DiT and SparseDiT.
  case originalDiT
  /// transformers' T5.
  case t5
  /// diffusers' `AutoencoderKL`.
  case autoencoder

  var part: ModelPart {
    switch self {
    case .pixArt, .originalPixArt, .dit, .originalDiT: .transformer
    case .t5: .textEncoder
    case .autoencoder: .vae
    }
  }

  /// Names of which each set has the one that is its own.
  private static let marks: [(String, WeightNames)] = [
    ("adaln_single.linear.weight", .pixArt), ("t_block.1.weight", .originalPixArt),
    ("proj_out_1.weight", .dit), ("y_embedder.embedding_table.weight", .originalDiT),
    ("encoder.block.0.layer.0.SelfAttention.q.weight", .t5),
    ("decoder.conv_in.weight", .autoencoder),
  ]

  /// What wrappers of a training put before every name.
  private static let wrappers = ["module.", "_orig_mod.", "model.diffusion_model.", "base_model."]

  /// Recognises weights, and takes off what a wrapper put before all of their names.
  ///
  /// - Throws: `unsupported` when they are of none of the models known here.
  static func recognise(
    _ tensors: [SourceTensor], in name: String
  ) throws(SparseDiTError) -> (WeightNames, [SourceTensor]) {
    var tensors = tensors
    for wrapper in wrappers where tensors.allSatisfy({ $0.name.hasPrefix(wrapper) }) {
      for index in tensors.indices { tensors[index].name.removeFirst(wrapper.count) }
    }
    let names = Set(tensors.map(\.name))
    if names.contains("decoder.conv_in.weight"), names.contains("decoder.mid.block_1.conv1.weight")
    {
      throw .unsupported(
        "\(name): an autoencoder with the names of its authors; take the one that diffusers saved")
    }
    guard let (_, found) = marks.first(where: { names.contains($0.0) }) else {
      let example = names.min().map { ", such as \(JSONValue.quoted($0))" } ?? ""
      throw .unsupported(
        "\(name): its \(names.count) tensors\(example) are of no model that is known here")
    }
    return (found, tensors)
  }
}
