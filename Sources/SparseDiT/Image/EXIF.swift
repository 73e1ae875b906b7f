/// The least EXIF that carries one text: APP1 → TIFF → Exif IFD → UserComment.
enum EXIF {
  /// A JPEG segment's length field counts itself and holds at most 65,535.
  static let limit = 65_533
  /// Bytes of the payload before the text.
  private static let structureSize = 6 + 8 + 18 + 18 + 8
  /// UTF-16 code units of the longest text that is not cut.
  static let maxUnits = (limit - structureSize) / 2

  /// The payload of an APP1 segment, at most ``limit`` bytes.
  ///
  /// The text is UTF-16, big-endian like the TIFF structure around it, under the character code
  /// `UNICODE`: what AUTOMATIC1111's web UI writes and reads.
  static func userComment(_ text: String) -> [UInt8] {
    let units = Array(text.cut(toUTF16: maxUnits).utf16)
    let commentSize = 8 + 2 * units.count
    var writer = BigEndianWriter()
    writer.bytes += Array("Exif".utf8) + [0, 0]
    // TIFF header: big-endian, version 42, first directory at offset 8.
    writer.bytes += Array("MM".utf8)
    writer.write(42 as UInt16)
    writer.write(8 as UInt32)
    let exifDirectory: UInt32 = 8 + 18
    // Tag 0x8769: offset (type 4, LONG) of the Exif directory.
    writer.directory(tag: 0x8769, type: 4, count: 1, value: exifDirectory)
    // Tag 0x9286: UserComment (type 7, UNDEFINED), which begins with its character code.
    writer.directory(
      tag: 0x9286, type: 7, count: UInt32(commentSize), value: exifDirectory + 18)
    writer.bytes += Array("UNICODE".utf8) + [0]
    for unit in units { writer.write(unit) }
    return writer.bytes
  }
}

extension String {
  /// Ends a text that did not fit.
  static let cutMark = " … [cut]"

  /// At most `limit` UTF-16 code units: what is more is cut between characters, with a mark; without
  /// where there is no room for it.
  func cut(toUTF16 limit: Int) -> String {
    guard utf16.count > limit else { return self }
    let room = limit - Self.cutMark.utf16.count
    guard room >= 0 else { return "" }
    var units = 0
    let kept = prefix { character in
      units += character.utf16.count
      return units <= room
    }
    return kept + Self.cutMark
  }
}

private struct BigEndianWriter {
  var bytes: [UInt8] = []

  mutating func write<Value: FixedWidthInteger>(_ value: Value) {
    withUnsafeBytes(of: value.bigEndian) { bytes += $0 }
  }

  /// An image file directory of one entry, the last of its chain: 18 bytes.
  mutating func directory(tag: UInt16, type: UInt16, count: UInt32, value: UInt32) {
    write(1 as UInt16)
    write(tag)
    write(type)
    write(count)
    write(value)
    write(0 as UInt32)
  }
}
