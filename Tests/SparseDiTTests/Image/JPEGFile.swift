import Testing

/// The segments of a baseline JPEG file (ITU T.81, annex B), as far as tests look at them.
struct JPEGFile {
  /// Payload by marker; the last one where a marker occurs several times.
  private(set) var segments: [UInt8: [UInt8]] = [:]
  /// Of all DHT segments together.
  private(set) var huffmanBytes = 0

  init(_ bytes: [UInt8]) throws {
    try #require(bytes.starts(with: [0xff, 0xd8]) && bytes.suffix(2) == [0xff, 0xd9])
    var place = 2
    while true {
      try #require(place + 4 <= bytes.count && bytes[place] == 0xff)
      let marker = bytes[place + 1]
      let length = Int(bytes[place + 2]) << 8 | Int(bytes[place + 3])
      try #require(place + 2 + length <= bytes.count)
      let payload = Array(bytes[(place + 4)..<(place + 2 + length)])
      segments[marker] = payload
      if marker == 0xc4 { huffmanBytes += payload.count }
      // Start of scan: entropy-coded data follows to the end.
      if marker == 0xda { return }
      place += 2 + length
    }
  }

  var height: Int { frame(1) << 8 | frame(2) }
  var width: Int { frame(3) << 8 | frame(4) }
  /// Horizontal and vertical factor of each component, a nibble each.
  var samplingFactors: [UInt8] { [7, 10, 13].map { UInt8(frame($0)) } }

  private func frame(_ index: Int) -> Int {
    guard let frame = segments[0xc0], index < frame.count else { return -1 }
    return Int(frame[index])
  }

  /// Follows the EXIF structure to the text, as a reader does.
  func userComment() throws -> String {
    let payload = try #require(segments[0xe1])
    try #require(payload.starts(with: Array("Exif".utf8) + [0, 0] + Array("MM".utf8) + [0, 42]))
    let tiff = Array(payload.dropFirst(6))
    let exif = try entry(tiff, directory: Int(number(tiff, at: 4, size: 4)), tag: 0x8769)
    let comment = try entry(tiff, directory: exif.value, tag: 0x9286)
    let text = Array(tiff[comment.value..<(comment.value + comment.count)])
    try #require(text.starts(with: Array("UNICODE".utf8) + [0]))
    let units = stride(from: 8, to: text.count, by: 2).map { UInt16(number(text, at: $0, size: 2)) }
    return String(decoding: units, as: UTF16.self)
  }

  private func entry(
    _ tiff: [UInt8], directory: Int, tag: Int
  ) throws -> (count: Int, value: Int) {
    for index in 0..<number(tiff, at: directory, size: 2) {
      let start = directory + 2 + 12 * index
      guard number(tiff, at: start, size: 2) == tag else { continue }
      return (number(tiff, at: start + 4, size: 4), number(tiff, at: start + 8, size: 4))
    }
    throw Missing(tag: tag)
  }

  private struct Missing: Error { let tag: Int }

  private func number(_ bytes: [UInt8], at place: Int, size: Int) -> Int {
    bytes[place..<(place + size)].reduce(0) { $0 << 8 | Int($1) }
  }
}
