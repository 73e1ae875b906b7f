/// Takes addresses of the web out of a caption, as diffusers does by two regular expressions:
/// a scheme and what follows it at once, or letters, digits, `.` and `-`, a full stop, one of nine
/// top-level domains and a path, but no `@` behind it.
enum WebAddresses {
  private static let domains = ["com", "co", "ru", "net", "org", "edu", "gov", "it"]

  static func removed(from text: Scalars) -> Scalars {
    removed(from: removed(from: text, schemes: ["https", "http"]), schemes: ["www"])
  }

  private static func removed(from text: Scalars, schemes: [String]) -> Scalars {
    // The end of each run of host characters, and the address in it, are found once.
    var hostEnd = 0
    var address: (dot: Int, end: Int)?
    return text.replacing { text, place in
      guard text.isBoundary(place) else { return nil }
      if let end = schemeEnd(text, place, schemes) { return end }
      guard text.has(place, isHost) else { return nil }
      if place >= hostEnd {
        hostEnd = text.run(place, isHost)
        address = lastAddress(text, place..<hostEnd)
      }
      // At least one character stands before the full stop.
      if let address, place < address.dot { return address.end }
      return nil
    }
  }

  private static func isHost(_ scalar: Unicode.Scalar) -> Bool {
    scalar.isASCIIAlphanumeric || scalar == "." || scalar == "-"
  }

  /// `https?:(?:\/{1,3}|[a-zA-Z0-9%])`
  private static func schemeEnd(_ text: TextView, _ place: Int, _ schemes: [String]) -> Int? {
    for scheme in schemes {
      guard let end = text.literal(scheme + ":", at: place) else { continue }
      let slashes = min(text.run(end) { $0 == "/" }, end + 3)
      if slashes > end { return slashes }
      if text.has(end, { $0.isASCIIAlphanumeric || $0 == "%" }) { return end + 1 }
    }
    return nil
  }

  /// The last full stop in a run of host characters that a domain follows, and where the address ends.
  private static func lastAddress(_ text: TextView, _ host: Range<Int>) -> (dot: Int, end: Int)? {
    for dot in host.reversed() where text[dot] == "." {
      for domain in domains {
        guard let start = text.literal(domain, at: dot + 1) else { continue }
        if let end = pathEnd(text, start) { return (dot, end) }
      }
    }
    return nil
  }

  /// `[\w/-]*\b\/?(?!@)`: the longest path that ends where a word does.
  private static func pathEnd(_ text: TextView, _ start: Int) -> Int? {
    let longest = text.run(start) { $0.isPythonWord || $0 == "/" || $0 == "-" }
    for end in (start...longest).reversed() where text.isBoundary(end) {
      if text.has(end, { $0 == "/" }), !text.has(end + 1, { $0 == "@" }) { return end + 1 }
      if !text.has(end, { $0 == "@" }) { return end }
    }
    return nil
  }
}
