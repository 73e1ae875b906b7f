import Tensors

/// The words that a model was trained on, by kind, from `words.json` in its folder.
///
/// A model that has seen few words draws something for any prompt; only this list can tell that a
/// word of it meant nothing to the model.
public struct KnownWords: Sendable, Equatable {
  /// Words of one kind, such as "things".
  public struct Kind: Sendable, Equatable {
    public let name: String
    public let words: [String]
  }

  /// The kinds that a list may have, in the order in which they are shown.
  static let shown = ["things", "colours", "places", "times", "weathers"]
  /// Words of captions that stand for nothing that could be drawn.
  static let connecting = "other"
  static let file = "words.json"

  /// Kinds with at least one word.
  public let kinds: [Kind]
  private let known: Set<String>

  /// The list of a folder; nil where it has none.
  /// - Throws: `invalidData` naming the key that is not an array of strings.
  init?(_ folder: ModelFolder) throws(SparseDiTError) {
    guard folder.contains(Self.file) else { return nil }
    let config = try folder.config(Self.file)
    var kinds: [Kind] = []
    var known: Set<String> = []
    for name in Self.shown + [Self.connecting] where config.contains(name) {
      let words = try config.strings(name, count: 0...100_000)
      known.formUnion(words.flatMap(Self.split))
      if name != Self.connecting && !words.isEmpty { kinds.append(Kind(name: name, words: words)) }
    }
    self.kinds = kinds
    self.known = known
  }

  /// The first word of a prompt that is not in the list, in lower case; nil where all are.
  func firstUnknown(in prompt: String) -> String? {
    Self.split(prompt).first { !known.contains($0) }
  }

  /// Runs of letters and digits, in lower case.
  private static func split(_ text: String) -> [String] {
    Caption.cleaned(text).split { !$0.isLetter && !$0.isNumber }.map(String.init)
  }
}
