import Foundation
import Testing

/// None is a mistake on the command line, so none is 64.
@Suite("Exit codes of what is not the command line's fault")
struct ExitCodeTests {
  @Test("threads that the system refuses", arguments: ["-v 300000 -s 8192", "-v 2000000 -s 8192"])
  func threads(limit: String) throws {
    try withTool { tool in
      let outcome = try tool.shell(
        "ulimit \(limit); \"$TOOL\" x -j 1000 -o a.jpg --model '\(Tool.model)'")
      #expect(outcome.code == 71, "\(outcome.errors)")
      #expect(try tool.files.isEmpty)
    }
  }

  @Test("a picture that memory has no room for")
  func memory() throws {
    try withTool { tool in
      try expectRefusal(
        tool, ["a", "-m", Tool.model, "-W", "65488", "-H", "65488"], code: 71, words: ["bytes"])
    }
  }

  @Test("a model with fewer steps than the default draws with as many as it has")
  func fewSteps() throws {
    try withTool { tool in
      let model = try changed(tool, "scheduler/scheduler_config.json", "num_train_timesteps", 7)
      let size = ["-m", model, "-W", "16", "-H", "16"]
      let outcome = try tool.run(["a", "-o", "a.jpg", "--json"] + size)
      #expect(outcome.code == 0 && outcome.text.contains("\"steps\" : 6"), "\(outcome.errors)")
      #expect(try tool.run(["--cost"] + size).text.contains("; 6 steps"))
      #expect(try tool.run(["a", "-s", "20"] + size).code == 64)
    }
  }

  @Test("a model's own size that no picture can have; another that is asked for can be wrong too")
  func impossibleSize() throws {
    try withTool { tool in
      let model = try changed(tool, "transformer/config.json", "sample_size", 4096)
      // 4096 latents of 2 pixels each and more tokens than memory has room for.
      for arguments in [["a"], ["a", "-H", "16"]] {
        let code = try tool.run(arguments + ["-m", model, "-s", "1", "-o", "a.jpg"]).code
        #expect(code == 71 || code == 0 && arguments.count > 1)
      }
      try expectRefusal(tool, ["a", "-m", model, "-W", "100000"], code: 64, words: ["100000"])
    }
  }

  /// A copy of the test model with one number changed.
  private func changed(_ tool: Tool, _ file: String, _ key: String, _ value: Int) throws -> String {
    let model = tool.folder.appending(path: "model")
    try FileManager.default.copyItem(at: URL(filePath: Tool.model), to: model)
    let path = model.appending(path: file)
    // As text: Foundation does not read the infinities that Python writes.
    let config = try String(contentsOf: path, encoding: .utf8)
    let edited = config.replacing(try Regex("\"\(key)\": *[0-9]+"), with: "\"\(key)\": \(value)")
    #expect(edited != config)
    try Data(edited.utf8).write(to: path)
    return model.path
  }
}
