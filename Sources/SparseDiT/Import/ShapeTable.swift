import Tensors

/// Shapes of tensors by name, from which a configuration is read off.
struct ShapeTable {
  /// What messages call the weights.
  let name: String
  private let shapes: [String: Shape]

  init(_ tensors: [SourceTensor], name: String) {
    self.name = name
    shapes = Dictionary(tensors.map { ($0.name, $0.shape) }) { first, _ in first }
  }

  func contains(_ tensor: String) -> Bool { shapes[tensor] != nil }

  /// - Throws: `invalidData` when the tensor is missing or has another number of axes, or an empty one.
  func callAsFunction(_ tensor: String, rank: Int) throws(SparseDiTError) -> Shape {
    guard let shape = shapes[tensor] else {
      throw .invalidData("\(name): tensor \(JSONValue.quoted(tensor)) is missing")
    }
    guard shape.rank == rank, shape.count > 0 else {
      throw .invalidData(
        "\(name): tensor \(JSONValue.quoted(tensor)): expected \(rank) axes, found shape \(shape)")
    }
    return shape
  }

  /// How many numbers stand behind a prefix: 3 for `prefix0.…`, `prefix1.…`, `prefix2.…`.
  func count(_ prefix: String) -> Int {
    var found: Set<Substring> = []
    for name in shapes.keys where name.hasPrefix(prefix) {
      let number = name.dropFirst(prefix.count).prefix { $0 != "." }
      if Int(number) != nil { found.insert(number) }
    }
    return found.count
  }
}
