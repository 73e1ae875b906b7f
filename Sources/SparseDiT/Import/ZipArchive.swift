import Tensors

/// The table of a zip file whose entries are stored as they are, the way `torch.save` writes them;
/// checked in full before any entry is used.
///
/// Source: PKWARE's APPNOTE 6.3, with its 64-bit extension. Checksums are not compared: PyTorch can
/// leave them out, and does not compare them either.
struct ZipArchive: Sendable {
  let file: FileBytes
  /// Where the bytes of each entry lie, from the start of the file.
  let entries: [String: Range<Int>]

  /// More than the tensors of any model.
  static let maximumEntries = 1 << 18

  /// Whether a file begins as a zip file does.
  static func begins(_ file: FileBytes) -> Bool {
    file.count >= 4 && file.bytes.loadUnaligned(as: UInt32.self).littleEndian == Signature.local
  }

  /// - Throws: `invalidData` for a file that is damaged or cut short, or whose entries overlap;
  ///   `unsupported` for entries that are compressed or encrypted.
  init(_ file: FileBytes) throws(SparseDiTError) {
    self.file = file
    let view = ByteView(file)
    let directory = try CentralDirectory(view)
    var entries: [String: Range<Int>] = [:]
    var spans: [(begin: Int, end: Int, name: String)] = []
    var offset = directory.range.lowerBound
    for _ in 0..<directory.count {
      let record = try Record(view, at: offset, limit: directory.range.upperBound)
      offset = record.end
      let data = try record.data(view, before: directory.range.lowerBound)
      spans.append((record.header, data.upperBound, record.name))
      guard entries.updateValue(data, forKey: record.name) == nil else {
        throw .invalidData("\(file.name): damaged: two entries \(JSONValue.quoted(record.name))")
      }
    }
    guard offset == directory.range.upperBound else {
      throw .invalidData("\(file.name): damaged: the table of its entries has other bytes behind")
    }
    self.entries = entries
    spans.sort { $0.begin < $1.begin }
    for (first, second) in zip(spans, spans.dropFirst()) where second.begin < first.end {
      throw .invalidData(
        "\(file.name): damaged: entries \(JSONValue.quoted(first.name)) and"
          + " \(JSONValue.quoted(second.name)) overlap")
    }
  }

  private enum Signature {
    static let local: UInt32 = 0x0403_4B50
    static let central: UInt32 = 0x0201_4B50
    static let end: UInt32 = 0x0605_4B50
    static let end64: UInt32 = 0x0606_4B50
    static let locator64: UInt32 = 0x0706_4B50
  }

  // MARK: The end of the file

  /// Where the table of entries lies.
  private struct CentralDirectory {
    let range: Range<Int>
    let count: Int

    init(_ view: ByteView) throws(SparseDiTError) {
      let end = try Self.end(view)
      var count = try view.size(UInt16.self, at: end + 10)
      var size = try view.size(UInt32.self, at: end + 12)
      var begin = try view.size(UInt32.self, at: end + 16)
      var limit = end
      if let end64 = try Self.end64(view, before: end) {
        limit = end64
        count = try view.size(UInt64.self, at: end64 + 32)
        size = try view.size(UInt64.self, at: end64 + 40)
        begin = try view.size(UInt64.self, at: end64 + 48)
      }
      guard begin <= limit, size <= limit - begin else {
        throw .invalidData("\(view.name): truncated or damaged: its table of entries is not there")
      }
      guard count <= ZipArchive.maximumEntries else {
        throw .invalidData(
          "\(view.name): \(count) entries are too many (at most \(ZipArchive.maximumEntries))")
      }
      range = begin..<begin + size
      self.count = count
    }

    /// The record that ends the file, behind which there may be a comment.
    private static func end(_ view: ByteView) throws(SparseDiTError) -> Int {
      let (size, longestComment) = (22, 65_535)
      let last = view.file.count - size
      if last >= 0 {
        for offset in stride(from: last, through: max(last - longestComment, 0), by: -1)
        where try view.number(UInt32.self, at: offset) == Signature.end {
          if try view.size(UInt16.self, at: offset + 20) == last - offset { return offset }
        }
      }
      throw .invalidData("\(view.name): truncated: a zip file without its end")
    }

    /// The record with 64-bit numbers, where there is one.
    private static func end64(_ view: ByteView, before end: Int) throws(SparseDiTError) -> Int? {
      guard end >= 20, try view.number(UInt32.self, at: end - 20) == Signature.locator64 else {
        return nil
      }
      let offset = try view.size(UInt64.self, at: end - 12)
      guard offset <= end - 20, try view.number(UInt32.self, at: offset) == Signature.end64 else {
        throw .invalidData("\(view.name): damaged: its 64-bit table of entries is not there")
      }
      return offset
    }
  }

  // MARK: Entries

  /// One row of the table.
  private struct Record {
    let name: String
    /// Where the entry begins, with a header of its own.
    let header: Int
    let size: Int
    /// Where the next row begins.
    let end: Int

    init(_ view: ByteView, at offset: Int, limit: Int) throws(SparseDiTError) {
      guard limit - offset >= 46, try view.number(UInt32.self, at: offset) == Signature.central
      else { throw .invalidData("\(view.name): damaged: an entry is missing at byte \(offset)") }
      let flags = try view.number(UInt16.self, at: offset + 8)
      let method = try view.number(UInt16.self, at: offset + 10)
      var packed = try view.size(UInt32.self, at: offset + 20)
      var size = try view.size(UInt32.self, at: offset + 24)
      let nameCount = try view.size(UInt16.self, at: offset + 28)
      let extraCount = try view.size(UInt16.self, at: offset + 30)
      var header = try view.size(UInt32.self, at: offset + 42)
      name = try view.text(offset + 46, nameCount)
      let extra = offset + 46 + nameCount
      end = extra + extraCount + (try view.size(UInt16.self, at: offset + 32))
      guard end <= limit else {
        throw .invalidData("\(view.name): damaged: entry \(JSONValue.quoted(name)) is cut short")
      }
      try Self.extend(&size, &packed, &header, view, extra..<extra + extraCount)
      let place = "\(view.name): entry \(JSONValue.quoted(name))"
      // Bit 0 of the flags: encrypted; bit 13: its header is hidden.
      guard flags & 0x2001 == 0 else { throw .unsupported("\(place): is encrypted") }
      guard method == 0 else {
        throw .unsupported("\(place): is compressed, which torch.save does not do")
      }
      guard packed == size else {
        throw .invalidData("\(place): damaged: \(size) bytes stored in \(packed)")
      }
      self.size = size
      self.header = header
    }

    /// Takes those numbers that do not fit in 32 bits from the extra field that has them in 64.
    private static func extend(
      _ size: inout Int, _ packed: inout Int, _ header: inout Int, _ view: ByteView,
      _ extra: Range<Int>
    ) throws(SparseDiTError) {
      let large = Int(UInt32.max)
      guard size == large || packed == large || header == large else { return }
      var offset = extra.lowerBound
      while extra.upperBound - offset >= 4 {
        let kind = try view.number(UInt16.self, at: offset)
        let end = offset + 4 + (try view.size(UInt16.self, at: offset + 2))
        offset += 4
        guard end <= extra.upperBound else { break }
        if kind == 1 {
          func take(_ value: inout Int) throws(SparseDiTError) {
            guard value == large, end - offset >= 8 else { return }
            value = try view.size(UInt64.self, at: offset)
            offset += 8
          }
          try take(&size)
          try take(&packed)
          try take(&header)
          return
        }
        offset = end
      }
    }

    /// Where the entry's bytes lie.
    func data(_ view: ByteView, before limit: Int) throws(SparseDiTError) -> Range<Int> {
      let place = "\(view.name): entry \(JSONValue.quoted(name))"
      guard header <= limit - 30, try view.number(UInt32.self, at: header) == Signature.local else {
        throw .invalidData("\(place): damaged: does not lie where the table says")
      }
      let nameCount = try view.size(UInt16.self, at: header + 26)
      let begin = header + 30 + nameCount + (try view.size(UInt16.self, at: header + 28))
      guard begin <= limit, size <= limit - begin else {
        throw .invalidData("\(place): truncated: \(size) bytes at \(begin) do not lie in the file")
      }
      guard try view.number(UInt16.self, at: header + 8) == 0,
        try view.bytes(header + 30, nameCount).elementsEqual(name.utf8)
      else { throw .invalidData("\(place): damaged: its header is that of another entry") }
      return begin..<begin + size
    }
  }
}
