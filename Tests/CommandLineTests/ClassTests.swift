import Foundation
import Testing

@Suite("Models that draw classes")
struct ClassTests {
  /// Random weights whose folder names a few classes of ImageNet.
  static let model = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Golden/dit-alone").path
  static let small = ["--model", model, "-W", "16", "-H", "16", "--steps", "1"]

  @Test("by number or by name it is the same picture, with the class in its settings")
  func picture() throws {
    try withTool { tool in
      let number = try tool.run(["--class", "207", "-o", "a.jpg", "--seed", "7"] + Self.small)
      #expect(number.code == 0 && number.errors.isEmpty, "\(number.errors)")
      let name = try tool.run(
        ["--class", "Golden Retriever", "-o", "b.jpg", "--seed", "7"] + Self.small)
      #expect(name.code == 0, "\(name.errors)")
      let bytes = try tool.data("a.jpg")
      #expect(try tool.data("b.jpg") == bytes)
      for text in ["golden retriever\nSteps: 1, Sampler: DDIM", "Class: 207"] {
        let utf16 = text.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
        #expect(bytes.range(of: Data(utf16)) != nil, "\(text)")
      }
      try tool.run(["--class", "208", "-o", "c.jpg", "--seed", "7"] + Self.small)
      #expect(try tool.data("c.jpg") != bytes)
    }
  }

  @Test("the report names the class")
  func report() throws {
    try withTool { tool in
      for (label, name) in [(388, "giant panda, panda, panda bear"), (5, nil)] {
        let outcome = try tool.run(
          ["--class", "\(label)", "-o", "r.jpg", "--json"] + Self.small)
        let report = try JSONSerialization.jsonObject(with: outcome.output) as? [String: Any]
        let image = try #require((report?["images"] as? [[String: Any]])?.first)
        #expect(image["class_label"] as? Int == label)
        let told = image["class_name"] as? String
        #expect(name.map { told?.hasPrefix($0) == true } ?? (told == nil))
        #expect(image["prompt"] as? String == "")
      }
    }
  }

  @Test(
    "what does not fit the model is refused with its limits",
    arguments: [
      (["--class", "1000"], ["class 1000", "0 to 999"]),
      (["--class", "-1"], ["class -1", "0 to 999"]),
      (["--class", "99999999999999999999"], ["99999999999999999999", "no class"]),
      (["--class", "golden retreiver"], ["did you mean \"golden retriever\"?"]),
      (["--class", "crane"], ["134 and 517"]),
      (["--class", ""], ["no class"]),
      (["--class", "1", "-n", "blurry"], ["negative prompt", "class"]),
      (["a cat"], ["prompt", "draws from a class"]),
    ] as [([String], [String])])
  func refusals(arguments: [String], words: [String]) throws {
    try withTool { tool in
      try expectRefusal(tool, arguments + ["-m", Self.model], code: 64, words: words)
    }
  }

  @Test("a class with a model that reads prompts")
  func classOfATextModel() throws {
    try withTool { tool in
      for given in ["7", "golden retriever"] {
        try expectRefusal(
          tool, ["--class", given] + Tool.small, code: 64, words: [given, "draws from text"])
      }
    }
  }
}
