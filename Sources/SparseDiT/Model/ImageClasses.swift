import Tensors

/// The classes that a model draws, and what they are called.
package struct ImageClasses: Sendable, Hashable {
  /// Labels are 0 ..< count.
  package let count: Int
  /// Names by label; empty where the folder lists none.
  package let names: [Int: [String]]

  /// Reads `id2label` of a `model_index.json`, where names of the same class stand with commas
  /// between: `{"207": "golden retriever", "1": "goldfish, Carassius auratus"}`.
  ///
  /// - Throws: `invalidData` for a key that is no label of this model.
  init(_ index: ConfigObject, count: Int) throws(SparseDiTError) {
    self.count = count
    var names: [Int: [String]] = [:]
    if let labels = try index.object("id2label") {
      for key in labels.keys {
        guard let label = Int(key), (0..<count).contains(label) else {
          throw .invalidData(
            "\(index.name): id2label: \(JSONValue.quoted(key)) is not a label in 0 to \(count - 1)")
        }
        names[label] = Self.split(try labels.string(key))
      }
    }
    self.names = names
  }

  /// The label of a request.
  ///
  /// - Throws: `invalidArgument` with the limits when it is missing or not one of this model.
  func checked(_ label: Int?) throws(SparseDiTError) -> Int {
    guard let label else {
      throw .invalidArgument(
        "this model draws from a class: a class in 0 to \(count - 1) is needed")
    }
    guard (0..<count).contains(label) else {
      throw .invalidArgument("class \(label) is not in 0 to \(count - 1)")
    }
    return label
  }

  /// The label of the class that has this name, or all its names with commas between. Upper and lower
  /// case are the same.
  ///
  /// - Throws: `invalidArgument` when there is none, with the name that is written most alike, or
  ///   when several classes have it.
  func label(named name: String) throws(SparseDiTError) -> Int {
    let shown = JSONValue.quoted(name)
    guard !names.isEmpty else {
      throw .invalidArgument(
        "class \(shown): this model's folder lists no names; give a number, 0 to \(count - 1)")
    }
    let wanted = Self.split(name).map(Self.folded)
    let found = names.filter { _, names in
      let names = names.map(Self.folded)
      return wanted.count == 1 ? names.contains(wanted[0]) : !names.isEmpty && names == wanted
    }.keys.sorted()
    guard let label = found.first else {
      let advice = nearest(to: Self.folded(name)).map { name in
        "; did you mean \(JSONValue.quoted(name))?"
      }
      throw .invalidArgument("class \(shown): no class has this name\(advice ?? "")")
    }
    guard found.count == 1 else {
      let list = found.map(String.init).joined(separator: " and ")
      throw .invalidArgument("class \(shown): the name of classes \(list); give the number")
    }
    return label
  }

  /// The name that the fewest changes of letters lead to, if they are at most a third of them.
  private func nearest(to wanted: String) -> String? {
    // Far longer than any name; the search takes the product of the lengths.
    guard wanted.count <= 100 else { return nil }
    let distances = names.values.joined().map { name in
      (name, editDistance(Array(Self.folded(name)), Array(wanted)))
    }
    let best = distances.min { ($0.1, $0.0) < ($1.1, $1.0) }
    return best.flatMap { $0.1 <= max(wanted.count / 3, 1) ? $0.0 : nil }
  }

  /// `tench, Tinca tinca` → its names.
  private static func split(_ names: String) -> [String] {
    names.split(separator: ",").map(trimmed).filter { !$0.isEmpty }
  }

  private static func folded(_ name: String) -> String { trimmed(name[...]).lowercased() }

  private static func trimmed(_ text: Substring) -> String {
    let start = text.drop(while: \.isWhitespace)
    return String(start.reversed().drop(while: \.isWhitespace).reversed())
  }
}

/// Insertions, deletions and replacements of characters that lead from one text to the other
/// (Levenshtein).
private func editDistance(_ first: [Character], _ second: [Character]) -> Int {
  // Distances from a prefix of `first` to every prefix of `second`.
  var row = Array(0...second.count)
  for (index, character) in first.enumerated() {
    var diagonal = row[0]
    row[0] = index + 1
    for place in second.indices {
      let replaced = diagonal + (character == second[place] ? 0 : 1)
      diagonal = row[place + 1]
      row[place + 1] = min(replaced, diagonal + 1, row[place] + 1)
    }
  }
  return row[second.count]
}
