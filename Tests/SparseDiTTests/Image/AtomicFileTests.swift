import Foundation
import Testing

@testable import SparseDiT
@testable import Tensors

@Suite("Files are written whole or not at all")
struct AtomicFileTests {
  @Test("a new file, then a replacement that keeps the permissions")
  func replacement() throws {
    try withFolder { folder in
      let path = folder.appending(path: "a").path
      try AtomicFile.write([1, 2, 3], to: path)
      #expect(try Data(contentsOf: URL(filePath: path)) == Data([1, 2, 3]))
      try FileManager.default.setAttributes([.posixPermissions: 0o604], ofItemAtPath: path)
      try AtomicFile.write([], to: path)
      #expect(try Data(contentsOf: URL(filePath: path)).isEmpty)
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      #expect(attributes[.posixPermissions] as? Int == 0o604)
      #expect(try names(folder) == ["a"])
    }
  }

  @Test("a symbolic link stays, and what it leads to is replaced")
  func link() throws {
    try withFolder { folder in
      let (target, link) = (folder.appending(path: "target"), folder.appending(path: "link"))
      try Data([9]).write(to: target)
      try FileManager.default.createSymbolicLink(at: link, withDestinationURL: target)
      try AtomicFile.write([1], to: link.path)
      #expect(try Data(contentsOf: target) == Data([1]))
      let kind = try FileManager.default.attributesOfItem(atPath: link.path)[.type]
      #expect(kind as? FileAttributeType == .typeSymbolicLink)
    }
  }

  @Test("the temporary file lies in the same folder, and is told before and after")
  func temporary() throws {
    try withFolder { folder in
      var told: [String?] = []
      try AtomicFile.write([1], to: folder.appending(path: "a").path) { told.append($0) }
      #expect(told.count == 2)
      let temporary = try #require(told.first ?? nil)
      #expect(temporary.hasPrefix(folder.path + "/."))
      #expect(told[1] == nil)
    }
  }

  @Test(
    "what cannot be written is refused by name, by the check too, and leaves nothing",
    arguments: [
      ("none/a", "none/a: cannot be written: its folder does not exist"),
      ("file/a", "file/a: cannot be written: a part of its path is not a folder"),
      ("folder", "folder: cannot be written: it is a folder"), ("new/", "new/"),
      ("x\0y", "NUL"), (String(repeating: "n", count: 256), "the name is too long"),
      ("loop", "circle"),
    ])
  func refusals(name: String, message: String) throws {
    try withFolder { folder in
      try Data().write(to: folder.appending(path: "file"))
      try FileManager.default.createDirectory(
        at: folder.appending(path: "folder"), withIntermediateDirectories: false)
      let loop = folder.appending(path: "loop")
      try FileManager.default.createSymbolicLink(at: loop, withDestinationURL: loop)
      let path = folder.path + "/" + name
      for attempt in [{ try AtomicFile.check(path) }, { try AtomicFile.write([1], to: path) }] {
        let error = #expect(throws: SparseDiTError.self, performing: attempt)
        guard case .cannotWrite(let text)? = error else {
          Issue.record("\(String(describing: error))")
          continue
        }
        #expect(text.contains(message), "\(text)")
      }
      #expect(try names(folder) == ["file", "folder", "loop"])
    }
  }

  @Test("a check leaves no trace, and an existing file alone")
  func check() throws {
    try withFolder { folder in
      try AtomicFile.check(folder.appending(path: "a").path)
      #expect(try names(folder).isEmpty)
      try Data([7]).write(to: folder.appending(path: "b"))
      try AtomicFile.check(folder.appending(path: "b").path)
      #expect(try Data(contentsOf: folder.appending(path: "b")) == Data([7]))
    }
  }

  @Test("devices are written directly; a full one is said")
  func devices() throws {
    try AtomicFile.write([1, 2], to: "/dev/null")
    #expect(
      throws: SparseDiTError.cannotWrite("/dev/full: cannot be written: no space left on the disk")
    ) {
      try AtomicFile.write([1, 2], to: "/dev/full")
    }
  }

  @Test("an empty path")
  func empty() {
    #expect(throws: SparseDiTError.cannotWrite("the output path is empty")) {
      try AtomicFile.write([], to: "")
    }
  }

  private func names(_ folder: URL) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
  }

  private func withFolder(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "sparsedit-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }
}
