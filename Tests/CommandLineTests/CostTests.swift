import Foundation
import Testing

@Suite("Costs")
struct CostTests {
  private struct Forward: Decodable { let dense, sparse, ratio: Double }
  private struct Phase: Decodable {
    let steps, tokens: Int
    let timesteps: [Double]
    let macs: Double
  }
  private struct Cost: Decodable {
    let tokens, textTokens, steps, forwardsPerStep: Int
    let grid: [Int]
    let phases: [Phase]
    let forward: [String: Forward]
  }
  private struct PaperRow: Decodable {
    let row: String
    let hasKnownLayout: Bool
    let paper, counted, executed: Forward
  }

  private func read<Value: Decodable>(
    _ tool: Tool, _ arguments: [String], as: Value.Type
  ) throws -> Value {
    let outcome = try tool.run(["--cost", "--json"] + arguments)
    #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(arguments): \(outcome.errors)")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Value.self, from: outcome.output)
  }

  @Test("the paper's table is counted again")
  func paper() throws {
    try withTool { tool in
      let rows = try read(tool, ["--paper"], as: [PaperRow].self)
      #expect(rows.count == 6)
      #expect(rows.count { $0.hasKnownLayout } == 4)
      for row in rows {
        #expect(abs(row.counted.dense / row.paper.dense - 1) <= 0.005, "\(row.row)")
        if row.hasKnownLayout {
          #expect(abs(row.counted.sparse / row.paper.sparse - 1) <= 0.03, "\(row.row)")
        }
      }
      let text = try tool.run(["--cost", "--paper"])
      #expect(text.code == 0 && text.errors.isEmpty)
      // Two lines of words, an empty one, and a table of six rows with its head.
      #expect(text.text.split(separator: "\n").count == 2 + 8)
      #expect(text.text.contains("-6.2 %") && text.text.contains("(assumed)"))
    }
  }

  @Test("memory: an estimate from above, in bytes")
  func peakBytes() throws {
    struct Estimate: Decodable { let peakBytes: Int }
    struct Report: Decodable {
      struct Image: Decodable { let peakBytes: Int }
      let images: [Image]
    }
    try withTool { tool in
      let request = ["a cat", "-m", Tool.model, "-W", "64", "-H", "32", "--steps", "2"]
      let estimate = try read(tool, request, as: Estimate.self).peakBytes
      let outcome = try tool.run(request + ["--json", "-o", "a.jpg"])
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      let held = try #require(
        decoder.decode(Report.self, from: outcome.output).images.first
      ).peakBytes
      #expect(held > 0 && estimate >= held && estimate < 100 * held, "\(estimate), \(held)")
    }
  }

  @Test("a backbone known by name")
  func named() throws {
    try withTool { tool in
      let arguments = [
        "--backbone", "DiT-XL/2", "--size", "512", "--rates", "0.90,0.96", "--token-schedule",
        "quarters",
      ]
      let cost = try read(tool, arguments, as: Cost.self)
      #expect(cost.tokens == 1024 && cost.textTokens == 0 && cost.steps == 20)
      #expect(cost.phases.map(\.tokens) == [36, 64, 81, 100])
      #expect(cost.phases.allSatisfy { $0.steps == 5 })
      let paper = try #require(cost.forward["paper"])
      // The paper's 235, of three digits.
      #expect(abs(paper.sparse / 235e9 - 1) < 0.003)
      let mean = cost.phases.map(\.macs).reduce(0, +) / 4
      #expect(abs(try #require(cost.forward["executed"]).sparse / mean - 1) < 1e-9)

      let text = try tool.run(["--cost"] + arguments)
      #expect(text.code == 0 && text.errors.isEmpty)
      for word in ["32×32 = 1024 tokens", "6×6 = 36", "dense recovery", "decoder"] {
        #expect(text.text.contains(word), "\(word)")
      }
      #expect(try tool.files.isEmpty)
    }
  }

  @Test("a table of tokens, a size that is not square, no guidance, and nothing pruned")
  func choices() throws {
    try withTool { tool in
      let table = try tool.write(#"{"table": [[0, 0.5], [500, 3, 2]]}"#, to: "table.json")
      let cost = try read(
        tool,
        [
          "--backbone", "DiT-S/4", "-W", "384", "-H", "256", "--token-schedule", table, "-s", "4",
          "-g",
          "1",
        ], as: Cost.self)
      #expect(cost.grid == [8, 12] && cost.forwardsPerStep == 1)
      // 8 × 12 at rate 0.5: round(5.66) × round(8.49).
      #expect(cost.phases.map(\.tokens) == [6, 48])
      let dense = try read(tool, ["--backbone", "DiT-S/4", "--dense"], as: Cost.self)
      #expect(dense.forward["executed"]?.ratio == 1)
    }
  }

  @Test("a model's folder without its weights, and a prompt's tokens")
  func folder() throws {
    try withTool { tool in
      for part in ["scheduler", "text_encoder", "tokenizer", "transformer", "vae"] {
        try FileManager.default.createDirectory(
          at: tool.folder.appending(path: part), withIntermediateDirectories: true)
      }
      for file in [
        "model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json",
        "transformer/config.json", "vae/config.json", "tokenizer/spiece.model",
      ] {
        try FileManager.default.copyItem(
          atPath: Tool.model + "/" + file, toPath: tool.folder.appending(path: file).path)
      }
      let padded = try read(tool, ["-m", "."], as: Cost.self)
      #expect(padded.textTokens == 120 && padded.forward["executed"]?.ratio == 1)
      let prompt = try read(tool, ["-m", ".", "a cat"], as: Cost.self)
      #expect((2..<20).contains(prompt.textTokens))
    }
  }

  @Test(
    "what cannot be worked out is refused",
    arguments: [
      (["--cost", "--backbone", "DiT-M/2"], 64, ["DiT-M/2", "DiT-XL/2", "PixArt-XL/2"]),
      (["a", "--backbone", "DiT-XL/2"], 64, ["--backbone", "--cost"]),
      (["a", "--size", "256"], 64, ["--size", "--cost"]),
      (["a", "--paper"], 64, ["--paper", "--cost"]),
      (["--paper"], 64, ["--paper needs --cost"]),
      (["--backbone", "DiT-XL/2"], 64, ["--backbone needs --cost"]),
      (["--cost", "--backbone", "DiT-XL/2", "--class", "5000"], 64, ["class 5000", "0 to 999"]),
      (["--cost", "--backbone", "DiT-XL/2", "--class", "tench"], 64, ["tench", "no names"]),
      (["--cost", "--backbone", "PixArt-XL/2", "--class", "tench"], 64, ["tench", "text"]),
      (["--cost", "-m", Tool.model, "--class", "5"], 64, ["class 5", "draws from text"]),
      (["--cost", "-m", ClassTests.model, "--class", "crane"], 64, ["134 and 517"]),
      (["--cost", "--backbone", "DiT-XL/2", "--eta", "0.5"], 64, ["eta 0.5", "ddim"]),
      (
        ["--cost", "--backbone", "DiT-XL/2", "--sampler", "ddim", "--eta", "2"], 64,
        ["eta 2.0", "0 to 1"]
      ),
      (
        ["--cost", "-m", Tool.model, "-n", String(repeating: "a", count: 70_000)], 64,
        ["negative prompt: is 70000 bytes"]
      ),
      (["--cost", "--backbone", "DiT-XL/2", "--size", "250"], 64, ["250", "multiple of 16"]),
      (["--cost", "--backbone", "DiT-XL/8", "--size", "96"], 64, ["96", "multiple of 64"]),
      (["--cost", "--backbone", "DiT-XL/2", "--size", "0"], 64, ["0 is not"]),
      (
        ["--cost", "--backbone", "DiT-XL/2", "--size", "9999999999999984"], 64, ["above the limit"]
      ),
      (["--cost", "--backbone", "DiT-XL/2", "--size", "big"], 64, ["--size", "big"]),
      (
        ["--cost", "--backbone", "DiT-XL/2", "--size", "256", "-W", "256"], 64,
        ["--size", "--width"]
      ),
      (["--cost", "--backbone", "DiT-XL/2", "--rates", "0.9,0.6"], 64, ["0.9,0.6"]),
      (["--cost", "--backbone", "DiT-XL/2", "--rates", "0.6,1.0"], 64, ["0.6,1.0"]),
      (
        ["--cost", "--backbone", "DiT-XL/2", "--token-schedule", "cosine"], 64,
        ["cosine", "quarters"]
      ),
      (["--cost", "--backbone", "DiT-XL/2", "--steps", "0"], 64, ["0 steps"]),
      (["--cost", "--backbone", "DiT-XL/2", "--steps", "1001"], 64, ["1001 steps"]),
      (["--cost", "--backbone", "DiT-XL/2", "a cat"], 64, ["--backbone", "prompt"]),
      (["--cost", "--backbone", "DiT-XL/2", "-m", "/nowhere"], 64, ["--backbone", "--model"]),
      (["--cost", "--backbone", "DiT-XL/2", "--dense", "--rates", "0,0.5"], 64, ["--dense"]),
      (["--cost", "--paper", "--rates", "0.5,0.6"], 64, ["--paper", "--rates"]),
      (["--cost", "--paper", "--backbone", "DiT-XL/2"], 64, ["--paper", "--backbone"]),
      (["--cost", "-o", "x.jpg"], 64, ["--cost", "--output"]),
      (["--cost", "--prompts-file", "x"], 64, ["--cost", "--prompts-file"]),
      (["--cost", "-m", "/nowhere"], 66, ["/nowhere"]),
      (["--cost", "--backbone", "DiT-XL/2", "--token-schedule", "none.json"], 66, ["none.json"]),
    ] as [([String], Int32, [String])])
  func refusals(arguments: [String], code: Int32, words: [String]) throws {
    try withTool { tool in try expectRefusal(tool, arguments, code: code, words: words) }
  }

  @Test(
    "tables with holes or disorder are refused",
    arguments: [
      (#"{"table": []}"#, 65, ["table"]),
      (#"{"table": [[100, 0.5]]}"#, 65, ["timestep 100", "timestep 0"]),
      (#"{"table": [[0, 0.5], [600, 0.6], [500, 0.7]]}"#, 65, ["500 after 600"]),
      (#"{"table": [[0, 0.5], [0, 0.6]]}"#, 65, ["0 after 0"]),
      (#"{"table": [[0, 1.5]]}"#, 65, ["1.5"]),
      (#"{"table": [[0, 0, 4]]}"#, 65, ["less than one"]),
      (#"{"table": [[0, 0.5], [1000, 0.6]]}"#, 65, ["table.json", "1000"]),
      (#"{"table": [[0, 17, 16]]}"#, 64, ["17×16", "16×16"]),
      (#"{"table": [[0, 0.5]], "rates": [0, 1]}"#, 65, ["rates"]),
    ] as [(String, Int32, [String])])
  func tables(json: String, code: Int32, words: [String]) throws {
    try withTool { tool in
      let path = try tool.write(json, to: "table.json")
      try expectRefusal(
        tool, ["--cost", "--backbone", "DiT-XL/2", "--token-schedule", path], code: code,
        words: words)
    }
  }
}
