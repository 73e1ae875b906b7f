/// Sizes of a tensor's axes, slowest first.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral {
  public let sizes: [Int]
  /// Number of elements.
  public let count: Int

  /// For sizes that the program itself computed; sizes from files or callers go through ``checked(_:)``.
  public init(_ sizes: [Int]) {
    self.sizes = sizes
    count = sizes.reduce(1, *)
  }

  public init(arrayLiteral elements: Int...) {
    self.init(elements)
  }

  /// Nil when a size is negative or the element count times 8 bytes does not fit in `Int`.
  public static func checked(_ sizes: [Int]) -> Shape? {
    var count = 1
    for size in sizes {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      if size < 0 || overflow || product > Int.max / 8 { return nil }
      count = product
    }
    return Shape(sizes)
  }

  public var rank: Int { sizes.count }
  public subscript(axis: Int) -> Int { sizes[axis] }
  /// Size of the last axis; 1 for a scalar.
  public var columns: Int { sizes.last ?? 1 }
  /// Product of all axes but the last.
  public var rows: Int { sizes.dropLast().reduce(1, *) }
}

extension Shape: CustomStringConvertible {
  public var description: String { "[" + sizes.map(String.init).joined(separator: ", ") + "]" }
}

/// A grid of tokens: rows × columns of patches.
public struct Grid: Hashable, Sendable {
  public let height: Int
  public let width: Int
  public init(height: Int, width: Int) {
    self.height = height
    self.width = width
  }
  public var count: Int { height * width }
}

extension Grid: CustomStringConvertible {
  public var description: String { "\(height)×\(width)" }
}
