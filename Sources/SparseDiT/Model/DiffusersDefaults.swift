/// What diffusers' PixArt pipelines do to every request unless they are told not to. A user's folder is
/// treated so too; the model inside, which was made without it, and models that draw classes are not.
package struct DiffusersDefaults: Sendable, Hashable {
  /// Whether captions are cleaned, see ``CaptionCleaning``; else they are lower-cased and stripped.
  package let cleansCaptions: Bool
  /// The `sample_size` by which ``ResolutionBinning`` finds the size to draw at; nil where pictures are
  /// drawn at the size that was asked for.
  package let binSampleSize: Int?

  /// - Parameter sampleSize: of the transformer.
  init(_ folder: ModelFolder, _ family: ModelFamily, sampleSize: Int) {
    let applies = !folder.isBuiltIn && family != .dit
    cleansCaptions = applies
    binSampleSize =
      applies && ResolutionBinning.bins(sampleSize: sampleSize) != nil ? sampleSize : nil
  }

  private init() {
    cleansCaptions = false
    binSampleSize = nil
  }

  /// None of it.
  package static let none = DiffusersDefaults()

  /// A prompt as the tokenizer gets it.
  func caption(_ prompt: String, of request: GenerationRequest) -> String {
    cleans(request) ? CaptionCleaning.cleaned(prompt) : Caption.cleaned(prompt)
  }

  /// Whether the prompts of a request are cleaned.
  func cleans(_ request: GenerationRequest) -> Bool { cleansCaptions && request.cleansCaptions }
}
