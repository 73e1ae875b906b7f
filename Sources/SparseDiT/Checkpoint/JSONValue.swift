/// A parsed JSON value. Integers that fit are kept exact, apart from other numbers.
enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  /// How messages describe a value: short, with the value itself where it is a scalar.
  var summary: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let value): JSONValue.quoted(value)
    case .array(let values): "an array of \(values.count)"
    case .object: "an object"
    }
  }

  /// Text from a file, quoted and made safe for a one-line message.
  static func quoted(_ text: String) -> String { "\"" + printable(text) + "\"" }

  /// Text from a file, cut and made safe for a one-line message.
  static func printable(_ text: String) -> String {
    var shown = ""
    for scalar in text.unicodeScalars.prefix(80) {
      let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
      shown.unicodeScalars.append(isControl ? "\u{FFFD}" : scalar)
    }
    return text.unicodeScalars.count > 80 ? shown + "…" : shown
  }
}
