/// The cleaning of captions that diffusers' PixArt pipelines do where its optional packages ftfy and
/// Beautiful Soup are installed (`clean_caption=True`), without them.
///
/// docs/captions.md says what it does and how it was compared.
package enum CaptionCleaning {
  /// A prompt as the text encoder gets it: the cleaning is applied twice, as in diffusers.
  ///
  /// Takes time in proportion to the prompt's length, whatever is in it.
  package static func cleaned(_ caption: String) -> String {
    once(once(Array(caption.unicodeScalars))).string
  }

  static func once(_ caption: Scalars) -> Scalars {
    var text = caption.unquotedPlus().stripped().lowercased()
    text = text.replacing(with: Array("person".unicodeScalars)) { text, place in
      text.literal("<person>", at: place)
    }
    text = HTMLText.text(of: WebAddresses.removed(from: text))
    for rule in rulesBefore { text = rule(text) }
    text = TextRepair.repaired(text)
    text = CharacterReferences.html5.unescaped(CharacterReferences.html5.unescaped(text))
    for rule in rulesBehind { text = rule(text) }
    return text.stripped()
  }

  private static let rulesBefore: [@Sendable (Scalars) -> Scalars] = [
    CaptionRules.withoutNicknames, CaptionRules.withoutIdeographs,
    CaptionRules.withPlainDashesAndQuotes, CaptionRules.withoutReferences,
    CaptionRules.withoutNumericAddresses, CaptionRules.withoutArticleNumber,
    CaptionRules.withoutLongNumbers, CaptionRules.withoutFileNames, CaptionRules.withoutRuns,
    CaptionRules.withoutLooseStopsAndJoints,
  ]

  private static let rulesBehind: [@Sendable (Scalars) -> Scalars] = [
    CaptionRules.withoutCodes, CaptionRules.withoutShopWords,
    CaptionRules.withoutFileTypesAndPages, CaptionRules.withoutMixedWords,
    CaptionRules.withoutSizes, CaptionRules.withPlainSpaces, CaptionRules.withoutOuterMarks,
  ]
}
