import Foundation
import Testing

@Suite("What files and arguments hold reaches the terminal as one printable line")
struct MessageTests {
  private static let hostile =
    "\u{1B}]0;owned\u{7}\n\r\u{202E}" + String(repeating: "x", count: 300_000)

  @Test("a model file's own text")
  func model() throws {
    try withTool { tool in
      let folder = tool.folder.appending(path: "model")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      let json = try JSONEncoder().encode(["_class_name": Self.hostile, Self.hostile: "a"])
      try json.write(to: folder.appending(path: "model_index.json"))
      try expectLine(tool, ["a", "-m", folder.path], code: 65)
      try json.write(to: folder.appending(path: "vae.json"))
      try Data("{\"\(String(repeating: "k", count: 300_000))\": \u{1B}".utf8)
        .write(to: folder.appending(path: "model_index.json"))
      try expectLine(tool, ["a", "-m", folder.path], code: 65)
    }
  }

  @Test("arguments")
  func arguments() throws {
    try withTool { tool in
      let text = String(Self.hostile.prefix(100_000))
      for arguments in [
        ["a", "--steps", text], ["a", "--" + text], ["a", "--token-schedule", text],
      ] {
        try expectLine(tool, arguments, code: 64)
      }
      try expectLine(tool, ["a", "-m", "none\n\u{1B}[2J"], code: 66)
    }
  }

  private func expectLine(_ tool: Tool, _ arguments: [String], code: Int32) throws {
    let outcome = try tool.run(arguments)
    #expect(outcome.code == code, "\(outcome.errors.prefix(200).debugDescription)")
    #expect(outcome.errors.hasPrefix("sparsedit-t2i: ") && outcome.errors.hasSuffix("\n"))
    let line = outcome.errors.dropLast()
    #expect(line.utf8.count <= 1000 && line.utf8.count > 20, "\(line.utf8.count)")
    #expect(
      line.unicodeScalars.allSatisfy {
        $0.properties.generalCategory != .control && $0 != "\u{202E}"
      },
      "\(line.debugDescription)")
  }
}
