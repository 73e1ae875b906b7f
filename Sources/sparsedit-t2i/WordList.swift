import SparseDiT

/// What `--words` prints: the words that a model was trained on, one line for each kind.
struct WordList {
  let text: String

  /// - Throws: `notFound` where the folder lists none, `invalidData` where its list is damaged.
  init(of folder: ModelFolder) throws(SparseDiTError) {
    guard let words = try folder.knownWords() else {
      throw .notFound("\(folder.name): has no list of its words (words.json)")
    }
    text = words.kinds.map { "\($0.name): \($0.words.joined(separator: ", "))\n" }.joined()
  }
}
