import Foundation
import Testing

@Suite("Importing checkpoints")
struct ImportTests {
  /// Small checkpoints as others publish them: see `Tests/Golden/README.md`.
  private static let sources = URL(filePath: Tool.model).deletingLastPathComponent()

  private func source(_ name: String) -> String {
    Self.sources.appending(path: "import/\(name)").path
  }

  private func alpha(_ output: String, _ more: [String] = []) -> [String] {
    ["import", source("alpha.pth"), source("vae"), source("t5"), output, "--heads", "1"] + more
  }

  @Test("files and folders become one that draws; what came from where is told")
  func draws() throws {
    try withTool { tool in
      let outcome = try tool.run(alpha("made/"))
      #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
      #expect(
        outcome.text == """
          made/transformer: \(source("alpha.pth"))
          made/text_encoder: \(source("t5"))/pytorch_model.bin.index.json
          made/tokenizer: \(source("t5"))
          made/vae: \(source("vae"))/diffusion_pytorch_model.bin
          made/scheduler: as usual for such a transformer

          """)
      #expect(try tool.files == ["made"])
      let drawn = try tool.run(["a", "-m", "made", "-s", "2", "-W", "32", "-H", "16", "--quiet"])
      #expect(drawn.code == 0 && drawn.errors.isEmpty, "\(drawn.errors)")
      #expect(try tool.files == ["image.jpg", "made"])
      #expect(try tool.run(alpha("quiet", ["--quiet"])).text.isEmpty)
      #expect(try tool.run(alpha("narrow", ["--format", "f16"])).code == 0)
    }
  }

  @Test("a word is a subcommand in the first place only")
  func promptsNamedLikeCommands() throws {
    try withTool { tool in
      for arguments in [["--", "import"], ["--quiet", "import"], ["--quiet", "help"]] {
        let outcome = try tool.run(Tool.small + arguments)
        #expect(outcome.code == 0, "\(arguments): \(outcome.errors)")
      }
      for arguments in [["help"], ["--help"], ["help", "import"], ["import", "--help"]] {
        let outcome = try tool.run(arguments)
        #expect(outcome.code == 0 && outcome.text.contains("import"), "\(arguments)")
        #expect(outcome.text.contains("--format") == arguments.contains("import"))
      }
    }
  }

  @Test(
    "what is wrong is one line, and nothing is written",
    arguments: [
      (["import"], 64, ["path"]), (["import", "a"], 64, ["a source and the folder"]),
      (["import", "/nowhere", "out"], 66, ["/nowhere", "does not exist"]),
      (["import", "SOURCE/alpha.pth", "out"], 64, ["text encoder, tokenizer, autoencoder"]),
      (["import", "SOURCE/vae", "out"], 64, ["transformer"]),
      (["import", "SOURCE/alpha.pth", "SOURCE/t5", "SOURCE/vae", "out"], 64, ["number of heads"]),
      (["import", "SOURCE/forms.pt", "out"], 65, ["forms.pt", "no model that is known"]),
      (["import", "SOURCE/versions.json", "out"], 65, ["versions.json"]),
      (["import", "SOURCE/../sampling", "out"], 64, ["has nothing of a model in it"]),
      (["import", "SOURCE/dit.pt", "SOURCE/vae", "out", "--variant", "fp16"], 66, ["fp16"]),
      (["import", "SOURCE/dit.pt", "SOURCE/vae", "out", "--format", "int8"], 64, ["bf16, f32"]),
      (["import", "SOURCE/dit.pt", "SOURCE/vae", "out", "--heads", "0"], 64, ["heads 0"]),
      (["import", "SOURCE/dit.pt", "SOURCE/vae", "none/out", "--heads", "3"], 73, ["none/out"]),
      (["import", "SOURCE/dit.pt", "SOURCE/vae", "/dev/null", "--heads", "3"], 73, ["is there"]),
      (["import", "SOURCE/dit.pt", "SOURCE/vae", "..", "--heads", "3"], 73, ["name the folder"]),
      (
        // A text encoder of 24 channels for a transformer of 32.
        ["import", "SOURCE/../pixart-alpha/transformer", "SOURCE/t5", "SOURCE/vae", "out"], 65,
        ["d_model 24", "32"]
      ),
    ] as [([String], Int32, [String])])
  func refusals(arguments: [String], code: Int32, words: [String]) throws {
    try withTool { tool in
      let given = arguments.map { $0.replacing("SOURCE", with: source("")) }
      try expectRefusal(tool, given, code: code, words: words)
    }
  }

  @Test("a folder that is there stays as it is; an empty one is filled")
  func existing() throws {
    try withTool { tool in
      let folder = tool.folder.appending(path: "out")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      #expect(try tool.run(alpha("out")).code == 0)
      try expectRefusal(tool, alpha("out"), code: 73, words: ["out: is there already"])
      #expect(try tool.files == ["out"])
    }
  }

  // MARK: Interruptions

  /// A model whose text encoder is large enough to be interrupted: half a million pieces of zeros,
  /// which take no room on the disk.
  private func largeModel(_ tool: Tool) throws -> [String] {
    let model = URL(filePath: Tool.model)
    let large = tool.folder.appending(path: "large")
    try FileManager.default.createDirectory(at: large, withIntermediateDirectories: true)
    let small = try Data(contentsOf: model.appending(path: "text_encoder/model.safetensors"))
    let count = Int(small.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
    var header = try #require(
      try JSONSerialization.jsonObject(with: small[8..<8 + count]) as? [String: Any])
    header["__metadata__"] = nil
    var end = 0
    for name in header.keys.sorted() {
      var entry = try #require(header[name] as? [String: Any])
      var shape = try #require(entry["shape"] as? [Int])
      if name == "shared.weight" { shape[0] = 500_000 }
      let begin = end
      end += 4 * shape.reduce(1, *)
      entry["shape"] = shape
      entry["data_offsets"] = [begin, end]
      header[name] = entry
    }
    let text = try JSONSerialization.data(withJSONObject: header)
    let file = large.appending(path: "model.safetensors")
    let start = withUnsafeBytes(of: UInt64(text.count).littleEndian) { Data($0) }
    try (start + text).write(to: file)
    let handle = try FileHandle(forWritingTo: file)
    try handle.truncate(atOffset: UInt64(8 + text.count + end))
    try handle.close()
    return ["import", large.path, model.path]
  }

  /// Every file below a folder with its content.
  private func contents(_ folder: URL) throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: folder.path) {
      let url = folder.appending(path: path)
      if let data = try? Data(contentsOf: url) { contents[path] = data }
    }
    return contents
  }

  @Test("killed at any moment: nothing that opens as a model, and the next import is whole")
  func killed() throws {
    try withTool { tool in
      let arguments = try largeModel(tool)
      let clock = ContinuousClock.now
      #expect(try tool.run(arguments + ["whole"]).code == 0)
      let whole = try contents(tool.folder.appending(path: "whole"))
      #expect(whole.count == 10)
      let span = (ContinuousClock.now - clock) / .microseconds(1)
      var wasCut = false
      for attempt in 1...8 {
        let running = try tool.start(arguments + ["out"])
        usleep(UInt32(span * Double(attempt) / 9))
        kill(running.process.processIdentifier, SIGKILL)
        _ = try tool.finish(running)
        let hidden = tool.folder.appending(path: ".out.importing")
        let left = try tool.files.contains(".out.importing") ? contents(hidden) : [:]
        wasCut = wasCut || !left.isEmpty
        if left != whole {
          let opened = try tool.run(["a", "-m", hidden.path, "-o", "never.jpg"])
          #expect(opened.code == 66 && opened.errors.contains("model_index.json") || left.isEmpty)
        }
        if try tool.files.contains("out") {
          #expect(try contents(tool.folder.appending(path: "out")) == whole)
          try FileManager.default.removeItem(at: tool.folder.appending(path: "out"))
        }
      }
      #expect(wasCut, "no attempt was killed while it wrote")
      #expect(try tool.run(arguments + ["out"]).code == 0)
      #expect(try contents(tool.folder.appending(path: "out")) == whole)
      #expect(try tool.files == ["large", "out", "whole"])
    }
  }

  @Test("Ctrl-C and kill: 130, and nothing is left", arguments: [SIGINT, SIGTERM])
  func interrupted(signal: Int32) throws {
    try withTool { tool in
      let arguments = try largeModel(tool)
      for _ in 0..<3 {
        let running = try tool.start(arguments + ["out"])
        try waitForFile(tool, ".out.importing", running)
        kill(running.process.processIdentifier, signal)
        let outcome = try tool.finish(running)
        #expect(outcome.code == 130 && outcome.errors == "sparsedit-t2i: interrupted\n")
        #expect(try tool.files == ["large"])
      }
    }
  }

  @Test("two imports to one place exclude each other")
  func busy() throws {
    try withTool { tool in
      let arguments = try largeModel(tool)
      let running = try tool.start(arguments + ["out"])
      try waitForFile(tool, ".out.importing", running)
      try expectRefusal(tool, arguments + ["out"], code: 70, words: ["out", "another import"])
      #expect(try tool.finish(running).code == 0)
      #expect(try tool.files == ["large", "out"])
    }
  }

  private func waitForFile(_ tool: Tool, _ name: String, _ running: Tool.Running) throws {
    for _ in 0..<20_000 where running.process.isRunning {
      if try tool.files.contains(name) { return }
      usleep(1000)
    }
    Issue.record("\(name) did not appear")
  }
}
