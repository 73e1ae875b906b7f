import Tensors

/// Which of diffusers' pipelines a folder was saved from.
package enum ModelFamily: String, Sendable, CaseIterable {
  case pixArtAlpha = "PixArtAlphaPipeline"
  case pixArtSigma = "PixArtSigmaPipeline"
  case dit = "DiTPipeline"

  /// From `model_index.json`.
  init(_ index: ConfigObject) throws(SparseDiTError) {
    let saved = try index.string("_class_name", oneOf: Self.allCases.map(\.rawValue))
    self = Self.allCases.first { $0.rawValue == saved } ?? .pixArtAlpha
    for (part, name) in parts {
      let found = try index.strings(part, count: 2...2)[1]
      guard found == name || found == name + "Fast" else {
        throw .unsupported("\(index.name): \(part): \(found) is not supported (only \(name))")
      }
    }
  }

  /// The parts that must be there, and their only class that is supported.
  private var parts: [(part: String, name: String)] {
    let text = [("text_encoder", "T5EncoderModel"), ("tokenizer", "T5Tokenizer")]
    return (kind == .text ? text : []) + [("vae", "AutoencoderKL")]
  }

  /// What its models draw from.
  var kind: ConditionKind {
    switch self {
    case .pixArtAlpha, .pixArtSigma: .text
    case .dit: .classes
    }
  }

  /// Tokens that captions are padded to, as in the training; 0 where no text is read.
  var promptTokens: Int {
    switch self {
    case .pixArtAlpha: 120
    case .pixArtSigma: 300
    case .dit: 0
    }
  }

  var name: String {
    switch self {
    case .pixArtAlpha: "PixArt-alpha"
    case .pixArtSigma: "PixArt-Sigma"
    case .dit: "DiT"
    }
  }
}
