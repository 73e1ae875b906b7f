import Foundation
import Testing

@Suite("Drawing")
struct DrawingTests {
  @Test("a picture with its settings inside; the same seed draws the same bytes")
  func picture() throws {
    try withTool { tool in
      let first = try tool.run(["a cat, sleeping", "-o", "a.jpg", "--seed", "7"] + Tool.small)
      #expect(first.code == 0 && first.errors.isEmpty, "\(first.errors)")
      #expect(first.text.hasPrefix("a.jpg: seed 7, 16×16, "))
      let bytes = try tool.data("a.jpg")
      #expect(bytes.starts(with: [0xff, 0xd8]) && bytes.suffix(2) == Data([0xff, 0xd9]))
      for text in ["a cat, sleeping\nSteps: 1, Sampler: DPM++ 2M", "Seed: 7", "Size: 16x16"] {
        let utf16 = text.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
        #expect(bytes.range(of: Data(utf16)) != nil, "\(text)")
      }
      try tool.run(["a cat, sleeping", "-o", "b.jpg", "--seed", "7"] + Tool.small)
      #expect(try tool.data("b.jpg") == bytes)
      try tool.run(["a cat, sleeping", "-o", "c.jpg", "--seed", "8"] + Tool.small)
      #expect(try tool.data("c.jpg") != bytes)
    }
  }

  @Test("settings that change the picture stand in it, however long the prompt")
  func settings() throws {
    try withTool { tool in
      let prompt = String(repeating: "a", count: 60_000)
      for (options, told) in [
        (["--dense", "--precision", "f32"], "Token pruning: none, Precision: f32"),
        (["--precision", "bf16"], "Model: pixart-alpha, Precision: bf16"),
      ] {
        try tool.run([prompt, "-n", prompt, "-o", "a.jpg", "--seed", "7"] + options + Tool.small)
        let bytes = try tool.data("a.jpg")
        for text in [" … [cut]\nNegative prompt: aa", " … [cut]\nSteps: 1", "Seed: 7", told] {
          let utf16 = text.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
          #expect(bytes.range(of: Data(utf16)) != nil, "\(text)")
        }
      }
    }
  }

  @Test("without a name nothing is overwritten; a named file is replaced, its permissions kept")
  func names() throws {
    try withTool { tool in
      for _ in 1...2 { #expect(try tool.run([""] + Tool.small).code == 0) }
      #expect(try tool.files == ["image-2.jpg", "image.jpg"])
      let named = try tool.write("old", to: "named.jpg")
      try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: named)
      try tool.run(["", "-o", "named.jpg", "--quiet"] + Tool.small)
      #expect(try tool.data("named.jpg").starts(with: [0xff, 0xd8]))
      let attributes = try FileManager.default.attributesOfItem(atPath: named)
      #expect(attributes[.posixPermissions] as? Int == 0o640)
      #expect(try tool.files == ["image-2.jpg", "image.jpg", "named.jpg"])
    }
  }

  /// Five threads, which on small machines OMP_DYNAMIC does not give either.
  @Test(
    "OpenMP's variables change nothing",
    arguments: [
      "OMP_NUM_THREADS=1", "OMP_THREAD_LIMIT=1", "OMP_MAX_ACTIVE_LEVELS=0", "OMP_DYNAMIC=true",
      "OMP_PROC_BIND=true", "GOMP_CPU_AFFINITY=0", "OMP_WAIT_POLICY=active",
    ])
  func openMPVariables(_ setting: String) throws {
    try withTool { tool in
      // Large enough that operations share their work among threads.
      func draw(_ name: String, threads: Int) -> String {
        "\"$TOOL\" x -o \(name) -j \(threads) -W 128 -H 128 --steps 1 --seed 7"
          + " --model '\(Tool.model)'"
      }
      #expect(try tool.shell(draw("one.jpg", threads: 1)).code == 0)
      let few = try tool.shell("export \(setting); " + draw("few.jpg", threads: 5))
      #expect(few.code == 0 && few.errors.isEmpty, "\(few.errors)")
      #expect(try tool.data("few.jpg") == tool.data("one.jpg"))
    }
  }

  /// A level that the machine lacks does not limit it, so these draw with what it has.
  @Test(
    "default options draw at every CPU level",
    arguments: [
      "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI", "AVX512_CORE_BF16", "AVX512_CORE_AMX",
    ])
  func levels(_ level: String) throws {
    try withTool { tool in
      let outcome = try tool.shell(
        "export ONEDNN_MAX_CPU_ISA=\(level); \"$TOOL\" x -W 128 -H 128 --steps 2 --json"
          + " --model '\(Tool.model)'")
      #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
      #expect(try tool.files == ["image.jpg"])
    }
  }

  /// By default each thread takes 8 MiB of addresses for its stack.
  @Test("more threads than the system allows are refused")
  func tooManyThreads() throws {
    try withTool { tool in
      let outcome = try tool.shell(
        "ulimit -s 8192; ulimit -v 2000000; \"$TOOL\" x -j 1000 --model '\(Tool.model)'")
      #expect(outcome.code == 71, "\(outcome.errors)")
      #expect(
        outcome.errors.contains(
          /^sparsedit-t2i: cannot start 1000 compute threads, only \d+: .+\n$/),
        "\(outcome.errors)")
      #expect(try tool.files.isEmpty)
    }
  }

  @Test("oneDNN without AVX2 is refused")
  func noAVX2() throws {
    try withTool { tool in
      let outcome = try tool.shell(
        "export ONEDNN_MAX_CPU_ISA=SSE41; \"$TOOL\" x -j 1 --model '\(Tool.model)'")
      #expect(outcome.code == 65, "\(outcome.errors)")
      #expect(outcome.errors.contains("AVX2") && outcome.errors.contains("ONEDNN_MAX_CPU_ISA"))
      #expect(try tool.files.isEmpty)
    }
  }

  @Test("several pictures are numbered, each with the next seed")
  func count() throws {
    try withTool { tool in
      let several = try tool.run(["x", "-c", "2", "-o", "n.jpg", "--seed", "5"] + Tool.small)
      #expect(several.code == 0)
      #expect(try tool.files == ["n-0001.jpg", "n-0002.jpg"])
      try tool.run(["x", "-o", "six.jpg", "--seed", "6"] + Tool.small)
      #expect(try tool.data("n-0002.jpg") == tool.data("six.jpg"))
      #expect(try tool.data("n-0001.jpg") != tool.data("six.jpg"))
    }
  }

  @Test("a seed that is not given is told, and draws the picture again")
  func toldSeed() throws {
    try withTool { tool in
      let outcome = try tool.run(["x", "-o", "a.jpg"] + Tool.small)
      let seed = try #require(outcome.text.firstMatch(of: /seed (\d+),/)).1
      try tool.run(["x", "-o", "b.jpg", "--seed", String(seed)] + Tool.small)
      #expect(try tool.data("a.jpg") == tool.data("b.jpg"))
    }
  }

  @Test("a file of prompts: numbering by prompt and picture, empty lines skipped")
  func promptsFile() throws {
    try withTool { tool in
      let file = try tool.write("a cat\r\n\n  \nein Haus – 家\n", to: "prompts.txt")
      let folder = tool.folder.appending(path: "drawn")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      let outcome = try tool.run(
        ["--prompts-file", file, "-o", "drawn", "-c", "2", "--seed", "1", "--quiet"] + Tool.small)
      #expect(outcome.code == 0 && outcome.output.isEmpty && outcome.errors.isEmpty)
      let drawn = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
      #expect(
        drawn == [
          "image-0001-0001.jpg", "image-0001-0002.jpg", "image-0002-0001.jpg",
          "image-0002-0002.jpg",
        ])
      try tool.run(["a cat", "-o", "cat.jpg", "--seed", "2"] + Tool.small)
      #expect(try tool.data("cat.jpg") == tool.data("drawn/image-0001-0002.jpg"))
    }
  }

  @Test("a byte order mark is no part of the first prompt, and # begins no comment")
  func byteOrderMark() throws {
    try withTool { tool in
      let outcome = try tool.run(
        ["--prompts-file", "-", "-o", "p.jpg", "--json"] + Tool.small,
        input: "\u{FEFF}one\n# two")
      let report = try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any]
      let images = report?["images"] as? [[String: Any]]
      #expect(images?.map { $0["prompt"] as? String } == ["one", "# two"])
    }
  }

  @Test("prompts from standard input")
  func promptsFromInput() throws {
    try withTool { tool in
      let outcome = try tool.run(
        ["--prompts-file", "-", "-o", "p.jpg"] + Tool.small, input: "one\ntwo")
      #expect(outcome.code == 0)
      #expect(try tool.files == ["p-0001.jpg", "p-0002.jpg"])
    }
  }

  @Test("a wrong line is named before anything is drawn")
  func wrongLine() throws {
    try withTool { tool in
      let long = String(repeating: "a", count: 1 << 20)
      let file = try tool.write("fine\n\n\(long)\n", to: "prompts.txt")
      try expectRefusal(
        tool, ["--prompts-file", file] + Tool.small, code: 65,
        words: ["prompts.txt line 3", "1048576", "65536"])
      try Data([0x61, 0x0a, 0xc3, 0x28]).write(to: tool.folder.appending(path: "bad.txt"))
      try expectRefusal(
        tool, ["--prompts-file", "bad.txt"] + Tool.small, code: 65,
        words: ["bad.txt line 2", "UTF-8"])
      try tool.write("fine\na\0b\n", to: "nul.txt")
      try expectRefusal(
        tool, ["--prompts-file", "nul.txt"] + Tool.small, code: 65,
        words: ["nul.txt line 2", "NUL at byte 1"])
      try expectRefusal(
        tool, ["--prompts-file", ""] + Tool.small, code: 66, words: ["path is empty"])
      try expectRefusal(
        tool, ["--prompts-file", "-"] + Tool.small, input: "\n \n", code: 65,
        words: ["standard input"])
      try expectRefusal(
        tool, ["--prompts-file", "none.txt"] + Tool.small, code: 66, words: ["none.txt"])
      try expectRefusal(tool, ["--prompts-file", "."] + Tool.small, code: 66, words: ["folder"])
    }
  }

  @Test("the picture on standard output")
  func standardOutput() throws {
    try withTool { tool in
      let outcome = try tool.run(["x", "-o", "-", "--seed", "3"] + Tool.small)
      #expect(outcome.code == 0)
      #expect(outcome.errors.hasPrefix("seed 3, 16×16"))
      #expect(try tool.files.isEmpty)
      try tool.run(["x", "-o", "x.jpg", "--seed", "3"] + Tool.small)
      #expect(try tool.data("x.jpg") == outcome.output)
    }
  }

  @Test("the report")
  func report() throws {
    try withTool { tool in
      let outcome = try tool.run(
        ["a \"quoted\" cat", "-n", "dog", "-c", "2", "-o", "r.jpg", "--json", "--seed"]
          + ["18446744073709551615"] + Tool.small)
      #expect(outcome.errors.isEmpty)
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      let report = try decoder.decode(Report.self, from: outcome.output)
      #expect(report.images.map(\.file) == ["r-0001.jpg", "r-0002.jpg"])
      #expect(report.images.map(\.seed) == [UInt64.max, 0])
      // The prompt is encoded once, for the first picture.
      #expect(report.images[0].seconds.text > 0 && report.images[1].seconds.text == 0)
      let image = try #require(report.images.first)
      #expect(image.prompt == "a \"quoted\" cat" && image.negativePrompt == "dog")
      #expect(image.timesteps == [999] && image.tokensPerStep.count == 1)
      #expect(image.width == 16 && image.height == 16)
      #expect(image.seconds.total >= image.seconds.denoise && image.seconds.denoise > 0)
      #expect(report.loadSeconds > 0)
    }
  }

  @Test("a PixArt folder is drawn as diffusers draws it by default, unless told otherwise")
  func defaults() throws {
    try withTool { tool in
      let model = URL(filePath: Tool.model).deletingLastPathComponent()
        .appending(path: "pixart-defaults").path
      let small = ["-m", model, "-s", "1", "--seed", "3", "--json"]
      @discardableResult
      func draw(_ arguments: [String]) throws -> Report.Image {
        let outcome = try tool.run(arguments + small)
        #expect(outcome.code == 0, "\(outcome.errors)")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let report = try decoder.decode(Report.self, from: outcome.output)
        return try #require(report.images.first)
      }
      let binned = try draw(["a (red) house", "-o", "a.jpg", "-W", "120", "-H", "77"])
      #expect((binned.width, binned.height) == (120, 77))
      #expect((binned.drawnWidth, binned.drawnHeight) == (304, 208) && binned.cleanCaption)
      try draw(["a red house", "-o", "b.jpg", "-W", "120", "-H", "77"])
      func picture(_ name: String) throws -> Data {
        // Behind the settings, which hold the prompt as it was given.
        let bytes = try tool.data(name)
        return try bytes[#require(bytes.range(of: Data([0xFF, 0xDA]))).lowerBound...]
      }
      #expect(try picture("a.jpg") == picture("b.jpg"))
      let exact = ["--exact-size", "--no-clean-caption", "-W", "64", "-H", "48"]
      let plain = try draw(["a (red) house", "-o", "c.jpg"] + exact)
      #expect((plain.width, plain.height) == (64, 48))
      #expect((plain.drawnWidth, plain.drawnHeight) == (64, 48) && !plain.cleanCaption)
      try draw(["a red house", "-o", "d.jpg"] + exact)
      #expect(try picture("c.jpg") != picture("d.jpg"))
      try expectRefusal(
        tool, ["a", "-W", "120", "--exact-size", "-o", "e.jpg"] + small.dropLast(), code: 64,
        words: ["width 120", "multiple of 16"])
      let cost = try tool.run(["--cost", "-m", model, "-W", "120", "-H", "77"])
      #expect(cost.text.contains("120×77 pixels, drawn at 304×208: 13×19 = 247 tokens"))
    }
  }

  private struct Report: Decodable {
    struct Image: Decodable {
      let file, prompt, negativePrompt: String
      let seed: UInt64
      let width, height, drawnWidth, drawnHeight: Int
      let cleanCaption: Bool
      let timesteps, tokensPerStep: [Int]
      let seconds: Seconds
    }
    struct Seconds: Decodable { let text, denoise, total: Double }
    let images: [Image]
    let loadSeconds: Double
  }
}
