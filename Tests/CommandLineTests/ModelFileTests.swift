import Foundation
import Testing

@Suite("Model folders that are not right")
struct ModelFileTests {
  @Test("not there, or not a folder")
  func missing() throws {
    try withTool { tool in
      try expectRefusal(tool, ["a", "-m", "/nowhere"], code: 66, words: ["/nowhere"])
      let file = try tool.write("{}", to: "file")
      try expectRefusal(tool, ["a", "-m", file], code: 65, words: [file, "folder"])
    }
  }

  @Test(
    "a file of it is missing",
    arguments: [
      "model_index.json", "scheduler/scheduler_config.json", "tokenizer/spiece.model",
      "vae/config.json", "transformer/diffusion_pytorch_model.safetensors",
    ])
  func missingFile(path: String) throws {
    try withModel { tool, model in
      try FileManager.default.removeItem(at: model.appending(path: path))
      try expectRefusal(
        tool, ["a"] + arguments(model), code: 66,
        words: [String(path.split(separator: "/").last ?? "")])
    }
  }

  @Test(
    "a setting is wrong",
    arguments: [
      ("transformer/config.json", "num_layers", "\"two\""),
      ("transformer/config.json", "patch_size", "0"),
      ("scheduler/scheduler_config.json", "algorithm_type", "\"sde-dpmsolver++\""),
      ("scheduler/scheduler_config.json", "thresholding", "true"),
      ("vae/config.json", "latent_channels", "1.5"),
    ])
  func wrongSetting(path: String, key: String, value: String) throws {
    try withModel { tool, model in
      let url = model.appending(path: path)
      // As text: JSONSerialization knows no -Infinity, which diffusers writes.
      let setting = try Regex("\"\(key)\"\\s*:\\s*[^,}\\n]+")
      let text = try String(contentsOf: url, encoding: .utf8)
      let changed = text.replacing(setting, with: "\"\(key)\": \(value)")
      #expect(changed != text)
      try Data(changed.utf8).write(to: url)
      try expectRefusal(tool, ["a"] + arguments(model), code: 65, words: [path, key])
    }
  }

  @Test("weights cut short, and a vocabulary that is none")
  func damaged() throws {
    try withModel { tool, model in
      let weights = model.appending(path: "vae/diffusion_pytorch_model.safetensors")
      let whole = try Data(contentsOf: weights)
      for count in [0, 7, 100, whole.count / 2, whole.count - 1] {
        try whole.prefix(count).write(to: weights)
        try expectRefusal(
          tool, ["a"] + arguments(model), code: 65,
          words: ["vae/diffusion_pytorch_model.safetensors"])
      }
      try whole.write(to: weights)
      try Data("not a vocabulary".utf8).write(to: model.appending(path: "tokenizer/spiece.model"))
      try expectRefusal(tool, ["a"] + arguments(model), code: 65, words: ["spiece.model"])
    }
  }

  @Test("NaN weights are named, and no black picture is written")
  func notANumber() throws {
    try withModel { tool, model in
      let url = model.appending(path: "transformer/diffusion_pytorch_model.safetensors")
      var bytes = try Data(contentsOf: url)
      // The data of the last tensor ends the file; its last value becomes NaN.
      bytes.replaceSubrange((bytes.count - 4)..., with: [0, 0, 0xc0, 0x7f])
      try bytes.write(to: url)
      try expectRefusal(tool, ["a"] + arguments(model), code: 65, words: ["transformer", "NaN"])
    }
  }

  private func arguments(_ model: URL) -> [String] {
    ["--model", model.path, "-W", "16", "-H", "16", "-s", "1", "-o", "out.jpg"]
  }

  /// A copy of the test model that a test may damage, outside the tool's folder.
  private func withModel(_ body: (Tool, URL) throws -> Void) throws {
    let home = try Tool()
    defer { home.remove() }
    let model = home.folder.appending(path: "model")
    try FileManager.default.copyItem(at: URL(filePath: Tool.model), to: model)
    try withTool { tool in try body(tool, model) }
  }
}
