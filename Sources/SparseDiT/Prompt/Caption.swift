import Tensors

/// What happens to a prompt before it is cut into tokens: the checks of its bytes, and the cleaning
/// that diffusers does without its optional packages. ``CaptionCleaning`` does what it does with them.
package enum Caption {
  /// Longest prompt in UTF-8 bytes. The model reads a few hundred tokens at most; the limit keeps a
  /// whole file given by mistake from being processed in silence.
  package static let maximumBytes = 1 << 16

  /// A prompt from a caller's bytes; it may be empty.
  /// - Parameter name: what messages call it: "prompt", "negative prompt", "line 3 of prompts.txt".
  /// - Throws: `invalidArgument` when it is longer than ``maximumBytes``, has a NUL in it or is not
  ///   valid UTF-8 (with the offset of the first bad byte).
  package static func checked(
    _ bytes: UnsafeRawBufferPointer, name: String
  ) throws(SparseDiTError) -> String {
    try check(bytes.count, bytes, name)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .invalidArgument("\(name): is not valid UTF-8 at byte \(firstInvalidByte(bytes))")
    }
    return text
  }

  /// The same for bytes in an array.
  package static func checked(_ bytes: [UInt8], name: String) throws(SparseDiTError) -> String {
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(SparseDiTError) in try checked(bytes, name: name) }
    }
    return try result.get()
  }

  /// Checks a prompt that is already a string.
  /// - Throws: `invalidArgument` when it is longer than ``maximumBytes`` or has a NUL in it.
  package static func check(_ text: String, name: String) throws(SparseDiTError) {
    try check(text.utf8.count, text.utf8, name)
  }

  /// `text.lower().strip()` as Python does it, except for letters that are newer than Python's tables.
  package static func cleaned(_ text: String) -> String {
    Array(text.unicodeScalars).lowercased().stripped().string
  }

  /// - Parameter count: of `bytes`, looked at first.
  private static func check(
    _ count: Int, _ bytes: some Sequence<UInt8>, _ name: String
  ) throws(SparseDiTError) {
    guard count <= maximumBytes else {
      throw .invalidArgument(
        "\(name): is \(count) bytes long (at most \(maximumBytes) are allowed)")
    }
    // Surely a mistake: a C program would take the text to end there.
    if let nul = bytes.enumerated().first(where: { $0.element == 0 }) {
      throw .invalidArgument("\(name): has a NUL at byte \(nul.offset)")
    }
  }

  private static func firstInvalidByte(_ bytes: UnsafeRawBufferPointer) -> Int {
    var parser = Unicode.UTF8.ForwardParser()
    var iterator = bytes.makeIterator()
    var offset = 0
    while case .valid(let sequence) = parser.parseScalar(from: &iterator) {
      offset += sequence.count
    }
    return offset
  }
}
