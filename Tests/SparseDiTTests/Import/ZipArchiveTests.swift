import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// Zip files that `torch.save` does not write.
@Suite struct ZipArchiveTests {
  typealias T = TorchFiles

  private func read(_ bytes: [UInt8]) throws -> ZipArchive {
    let folder = try TemporaryFolder()
    try folder.write("file", bytes)
    return try ZipArchive(FileBytes(mapping: folder.path + "/file", name: "file"))
  }

  private func message(_ bytes: [UInt8]) throws -> String {
    "\(try error { _ = try read(bytes) })"
  }

  private func entry(_ name: String, _ count: Int = 5) -> T.Entry {
    T.Entry(name: name, bytes: [UInt8](repeating: 7, count: count))
  }

  @Test func findsEntries() throws {
    var large = entry("a/large", 9)
    large.isLarge = true
    let bytes = T.zip([entry("a/one"), large, entry("a/", 0)], comment: Array("a comment".utf8))
    let archive = try read(bytes)
    #expect(archive.entries.keys.sorted() == ["a/", "a/large", "a/one"])
    for (name, count) in [("a/one", 5), ("a/large", 9)] {
      let range = try #require(archive.entries[name])
      #expect(bytes[range].elementsEqual([UInt8](repeating: 7, count: count)), "\(name)")
    }
  }

  /// The zip files of Python's zipfile and of torch have 64-bit records; those of torch are read by
  /// ``TorchFileTests``.
  @Test func isCutShortAnywhere() throws {
    let whole = try [UInt8](Data(contentsOf: URL(filePath: T.golden("forms.pt"))))
    for count in stride(from: 4, to: whole.count, by: 61) {
      let error = try error { _ = try T.read(Array(whole.prefix(count))) }
      #expect("\(error)".hasPrefix("file: truncated"), "\(count): \(error)")
    }
  }

  @Test func refusesDamage() throws {
    var packed = entry("a")
    packed.method = 8
    #expect(try message(T.zip([packed])).contains("entry \"a\": is compressed"))
    var secret = entry("a")
    secret.flags = 1
    #expect(try message(T.zip([secret])).contains("entry \"a\": is encrypted"))
    var second = entry("b")
    second.offset = 0
    #expect(try message(T.zip([entry("a"), second])).contains("its header is that of another"))
    second.name = "a"
    #expect(try message(T.zip([entry("a"), second])).contains("two entries \"a\""))
    var long = entry("a")
    long.size = 1000
    #expect(try message(T.zip([long, entry("b")])).contains("entry \"a\": truncated"))
    long.size = 20
    #expect(try message(T.zip([long, entry("b", 40)])).contains("\"a\" and \"b\" overlap"))
    var lost = entry("a")
    lost.offset = 1 << 30
    #expect(try message(T.zip([lost])).contains("does not lie where the table says"))
    #expect(try message(T.zip([entry("a")], count: 2)).contains("an entry is missing"))
    #expect(try message(T.zip([entry("a")], count: 0)).contains("has other bytes behind"))
    #expect(try message([]).contains("truncated: a zip file without its end"))
  }

  /// Not made by torch: no data.pkl, or two.
  @Test func refusesOtherZips() throws {
    for entries in [[entry("a/b")], [entry("a/data.pkl"), entry("b/data.pkl")]] {
      let message = "\(try error { _ = try T.read(T.zip(entries)) })"
      #expect(message == "file: is a zip file that torch.save did not write")
    }
    let big = T.zip([entry("m/data.pkl"), T.Entry(name: "m/byteorder", bytes: Array("big".utf8))])
    #expect("\(try error { _ = try T.read(big) })" == "file: its numbers are not little-endian")
  }

  /// Thousands of damaged files: read or refused with one line, never a crash.
  @Test(arguments: ["forms-training.pt", "forms-older.pt", "forms-4.pt"])
  func survivesDamage(_ name: String) throws {
    let whole = try [UInt8](Data(contentsOf: URL(filePath: T.golden(name))))
    var random = MutationTests.Random(state: 5)
    var accepted = 0
    for _ in 0..<3000 {
      let bytes = MutationTests.mutated(whole, &random)
      do {
        for tensor in try T.read(bytes) where tensor.dtype != .i64 { _ = try tensor.values() }
        accepted += 1
      } catch let error as SparseDiTError {
        #expect("\(error)".hasPrefix("file: "), "\(error)")
        #expect("\(error)".allSatisfy { !$0.isNewline })
      }
    }
    #expect(accepted > 0 && accepted < 3000)
  }
}
