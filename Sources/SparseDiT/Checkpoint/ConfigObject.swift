import Tensors

/// A JSON object of a model's configuration, with accessors that check type and range.
///
/// Every error names the file, the path of the key, what was expected and what was found.
/// A key whose value is `null` counts as missing, as in diffusers' configs.
package struct ConfigObject: Sendable, Equatable {
  /// File name and, in a nested object, the path of its key: `transformer/config.json: sparsity`.
  package let name: String
  private let members: [String: JSONValue]
  private let prefix: String

  /// Reads a file whose top level is an object.
  /// - Throws: `invalidData` when it is not JSON or not an object.
  init(file: FileBytes) throws(SparseDiTError) {
    let value = try JSONParser.parse(file.bytes, name: file.name, allowsNonFinite: true)
    guard case .object(let members) = value else {
      throw .invalidData("\(file.name): expected an object, found \(value.summary)")
    }
    self.init(name: file.name, members: members, prefix: "")
  }

  /// - Parameters:
  ///   - name: what messages call it.
  ///   - prefix: of its keys in messages, in a nested object.
  init(name: String, members: [String: JSONValue], prefix: String = "") {
    self.name = name
    self.members = members
    self.prefix = prefix
  }

  /// The same object with these keys only.
  package func keeping(_ keys: Set<String>) -> ConfigObject {
    ConfigObject(name: name, members: members.filter { keys.contains($0.key) }, prefix: prefix)
  }

  /// The same object with another value under a key.
  func setting(_ key: String, to value: JSONValue) -> ConfigObject {
    ConfigObject(
      name: name, members: members.merging([key: value]) { _, new in new }, prefix: prefix)
  }

  // MARK: Presence

  package var keys: [String] { members.keys.sorted() }

  /// Whether the key is there with a value other than `null`.
  package func contains(_ key: String) -> Bool { value(key) != nil }

  /// Whether the key is missing or `null`.
  package func isNull(_ key: String) -> Bool { value(key) == nil }

  // MARK: Required values

  package func int(_ key: String, in range: ClosedRange<Int>) throws(SparseDiTError) -> Int {
    try int(of: required(key, "an integer"), key, in: range)
  }

  /// A finite number, written with or without a fraction.
  package func double(
    _ key: String, in range: ClosedRange<Double>? = nil
  ) throws(SparseDiTError) -> Double {
    try double(of: required(key, "a number"), key, in: range)
  }

  package func bool(_ key: String) throws(SparseDiTError) -> Bool {
    try bool(of: required(key, "true or false"), key)
  }

  package func string(_ key: String) throws(SparseDiTError) -> String {
    try string(of: required(key, "a string"), key)
  }

  /// A string of a fixed set; another one is `unsupported`, since it may be legal elsewhere.
  package func string(_ key: String, oneOf choices: [String]) throws(SparseDiTError) -> String {
    try string(string(key), key, oneOf: choices)
  }

  /// An array of integers; its length must lie in `count`.
  package func ints(
    _ key: String, in range: ClosedRange<Int>, count: ClosedRange<Int> = 1...1000
  ) throws(SparseDiTError) -> [Int] {
    var result: [Int] = []
    for (index, element) in try elements(key, count: count).enumerated() {
      result.append(try int(of: element, "\(key)[\(index)]", in: range))
    }
    return result
  }

  /// An array of finite numbers; its length must lie in `count`.
  package func doubles(
    _ key: String, in range: ClosedRange<Double>? = nil, count: ClosedRange<Int> = 1...1000
  ) throws(SparseDiTError) -> [Double] {
    var result: [Double] = []
    for (index, element) in try elements(key, count: count).enumerated() {
      result.append(try double(of: element, "\(key)[\(index)]", in: range))
    }
    return result
  }

  /// An array of arrays of finite numbers, each as long as `columns` says.
  package func rows(
    _ key: String, columns: ClosedRange<Int>, count: ClosedRange<Int> = 1...1000
  ) throws(SparseDiTError) -> [[Double]] {
    var result: [[Double]] = []
    for (index, element) in try elements(key, count: count).enumerated() {
      let place = "\(key)[\(index)]"
      guard case .array(let numbers) = element, columns.contains(numbers.count) else {
        throw wrong(
          place, "an array of \(columns.lowerBound) to \(columns.upperBound) numbers", element)
      }
      var row: [Double] = []
      for number in numbers { row.append(try double(of: number, place, in: nil)) }
      result.append(row)
    }
    return result
  }

  /// An array of strings; its length must lie in `count`.
  package func strings(
    _ key: String, count: ClosedRange<Int> = 1...1000
  ) throws(SparseDiTError) -> [String] {
    var result: [String] = []
    for (index, element) in try elements(key, count: count).enumerated() {
      result.append(try string(of: element, "\(key)[\(index)]"))
    }
    return result
  }

  /// An array of objects; its length must lie in `count`.
  package func objects(
    _ key: String, count: ClosedRange<Int>
  ) throws(SparseDiTError) -> [ConfigObject] {
    var result: [ConfigObject] = []
    for (index, element) in try elements(key, count: count).enumerated() {
      guard case .object(let members) = element else {
        throw wrong("\(key)[\(index)]", "an object", element)
      }
      result.append(
        ConfigObject(name: name, members: members, prefix: "\(prefix)\(key)[\(index)]."))
    }
    return result
  }

  /// An array of pairs of a string and a finite number; its length must lie in `count`.
  package func pairs(
    _ key: String, count: ClosedRange<Int>
  ) throws(SparseDiTError) -> [(String, Double)] {
    var result: [(String, Double)] = []
    for (index, element) in try elements(key, count: count).enumerated() {
      let place = "\(key)[\(index)]"
      guard case .array(let pair) = element, pair.count == 2 else {
        throw wrong(place, "a string and a number", element)
      }
      result.append((try string(of: pair[0], place), try double(of: pair[1], place, in: nil)))
    }
    return result
  }

  // MARK: Values with a default

  package func int(
    _ key: String, in range: ClosedRange<Int>, default fallback: Int
  ) throws(SparseDiTError) -> Int {
    guard let value = value(key) else { return fallback }
    return try int(of: value, key, in: range)
  }

  package func double(
    _ key: String, in range: ClosedRange<Double>? = nil, default fallback: Double
  ) throws(SparseDiTError) -> Double {
    guard let value = value(key) else { return fallback }
    return try double(of: value, key, in: range)
  }

  /// A number that may also be infinite or NaN, as Python writes them into diffusers' configs.
  package func number(
    _ key: String, default fallback: Double
  ) throws(SparseDiTError) -> Double {
    switch value(key) {
    case nil: return fallback
    case .integer(let integer): return Double(integer)
    case .number(let double): return double
    case let other?: throw wrong(key, "a number", other)
    }
  }

  package func bool(_ key: String, default fallback: Bool) throws(SparseDiTError) -> Bool {
    guard let value = value(key) else { return fallback }
    return try bool(of: value, key)
  }

  package func string(
    _ key: String, default fallback: String
  ) throws(SparseDiTError) -> String {
    guard let value = value(key) else { return fallback }
    return try string(of: value, key)
  }

  package func string(
    _ key: String, oneOf choices: [String], default fallback: String
  ) throws(SparseDiTError) -> String {
    guard let value = value(key) else { return fallback }
    return try string(string(of: value, key), key, oneOf: choices)
  }

  /// The object under a key; nil when the key is missing or `null`.
  package func object(_ key: String) throws(SparseDiTError) -> ConfigObject? {
    guard let value = value(key) else { return nil }
    guard case .object(let members) = value else { throw wrong(key, "an object", value) }
    return ConfigObject(name: name, members: members, prefix: prefix + key + ".")
  }

  // MARK: Settings that have one supported value

  /// Passes when the key is missing or has this value; otherwise the setting is `unsupported`.
  package func require(_ key: String, equals expected: Bool) throws(SparseDiTError) {
    let found = try bool(key, default: expected)
    if found != expected { throw unsupported(key, "\(found)", "\(expected)") }
  }

  /// Passes when the key is missing or has this value; otherwise the setting is `unsupported`.
  package func require(_ key: String, equals expected: Int) throws(SparseDiTError) {
    let found = try int(key, in: Int.min...Int.max, default: expected)
    if found != expected { throw unsupported(key, "\(found)", "\(expected)") }
  }

  /// Passes when the key is missing or has this value; otherwise the setting is `unsupported`.
  package func require(_ key: String, equals expected: Double) throws(SparseDiTError) {
    let found = try double(key, default: expected)
    if found != expected { throw unsupported(key, "\(found)", "\(expected)") }
  }

  /// Passes when the key is missing or has this value; otherwise the setting is `unsupported`.
  package func require(_ key: String, equals expected: String) throws(SparseDiTError) {
    _ = try string(key, oneOf: [expected], default: expected)
  }

  /// Passes when the key is missing or `null`; otherwise the setting is `unsupported`.
  package func requireNull(_ key: String) throws(SparseDiTError) {
    if let value = value(key) { throw unsupported(key, value.summary, "null") }
  }

  // MARK: Checks

  private func value(_ key: String) -> JSONValue? {
    guard let value = members[key], value != .null else { return nil }
    return value
  }

  private func required(_ key: String, _ expected: String) throws(SparseDiTError) -> JSONValue {
    guard let value = value(key) else {
      let state = members[key] == nil ? "is missing" : "is null"
      throw .invalidData("\(name): \(prefix)\(key) \(state) (expected \(expected))")
    }
    return value
  }

  private func wrong(_ key: String, _ expected: String, _ found: JSONValue) -> SparseDiTError {
    .invalidData("\(name): \(prefix)\(key): expected \(expected), found \(found.summary)")
  }

  private func unsupported(_ key: String, _ found: String, _ supported: String) -> SparseDiTError {
    .unsupported("\(name): \(prefix)\(key): \(found) is not supported (only \(supported))")
  }

  private func int(
    of value: JSONValue, _ key: String, in range: ClosedRange<Int>
  ) throws(SparseDiTError) -> Int {
    guard case .integer(let number) = value else { throw wrong(key, "an integer", value) }
    guard range.contains(number) else {
      throw wrong(key, "\(range.lowerBound) to \(range.upperBound)", value)
    }
    return number
  }

  private func double(
    of value: JSONValue, _ key: String, in range: ClosedRange<Double>?
  ) throws(SparseDiTError) -> Double {
    let number: Double
    switch value {
    case .integer(let integer): number = Double(integer)
    case .number(let double) where double.isFinite: number = double
    default: throw wrong(key, "a finite number", value)
    }
    if let range, !range.contains(number) {
      throw wrong(key, "\(range.lowerBound) to \(range.upperBound)", value)
    }
    return number
  }

  private func bool(of value: JSONValue, _ key: String) throws(SparseDiTError) -> Bool {
    guard case .bool(let bool) = value else { throw wrong(key, "true or false", value) }
    return bool
  }

  private func string(of value: JSONValue, _ key: String) throws(SparseDiTError) -> String {
    guard case .string(let string) = value else { throw wrong(key, "a string", value) }
    return string
  }

  private func string(
    _ found: String, _ key: String, oneOf choices: [String]
  ) throws(SparseDiTError) -> String {
    guard choices.contains(found) else {
      let list = choices.map(JSONValue.quoted).joined(separator: ", ")
      throw unsupported(key, JSONValue.quoted(found), list)
    }
    return found
  }

  private func elements(
    _ key: String, count: ClosedRange<Int>
  ) throws(SparseDiTError) -> [JSONValue] {
    let value = try required(key, "an array")
    guard case .array(let elements) = value else { throw wrong(key, "an array", value) }
    guard count.contains(elements.count) else {
      let expected =
        count.count == 1 ? "\(count.lowerBound)" : "\(count.lowerBound) to \(count.upperBound)"
      throw wrong(key, "an array of \(expected)", value)
    }
    return elements
  }
}
