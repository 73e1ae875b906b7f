import Foundation
import Testing

@Suite("Options")
struct OptionTests {
  @Test("help and version go to standard output")
  func help() throws {
    try withTool { tool in
      let help = try tool.run(["--help"])
      #expect(help.code == 0 && help.errors.isEmpty)
      for word in ["--negative-prompt", "Examples:", "Exit codes:", "(default: 4.5)", "xl-512-55"] {
        #expect(help.text.contains(word), "\(word)")
      }
      let version = try tool.run(["--version"])
      #expect(version.code == 0 && version.errors.isEmpty)
      #expect(version.text.wholeMatch(of: /sparsedit-t2i \d+\.\d+\.\d+\n/) != nil)
    }
  }

  @Test(
    "a wrong option is named, before any model is looked at",
    arguments: [
      ([], ["prompt"]),
      (["a", "b"], ["b"]),
      (["a", "--bogus"], ["--bogus"]),
      (["a", "--prompts-file", "x"], ["--prompts-file", "prompt"]),
      (["a", "--class", "7"], ["--class", "prompt"]),
      (["--prompts-file", "x", "--class", "7"], ["--prompts-file", "--class"]),
      (["a", "--words"], ["--words", "prompt"]),
      (["--words", "-o", "x.jpg"], ["--words", "--output"]),
      (["a", "--dense", "--rates", "0.1,0.2"], ["--rates", "--dense"]),
      (["a", "--rates", "0.5"], ["--rates", "0.5"]),
      (["a", "--rates", "0.9,0.1"], ["--rates", "0.9,0.1"]),
      (["a", "--rates", "0,1"], ["--rates", "0,1"]),
      (["a", "--rates", "nan,0.5"], ["--rates", "nan"]),
      (["a", "--rates", "xl-256-44"], ["--rates", "xl-256-44"]),
      (["a", "--dense", "--token-schedule", "linear"], ["--token-schedule", "--dense"]),
      (
        ["a", "--rates", "xl-256-43", "--token-schedule", "x.json"],
        ["--rates", "--token-schedule"]
      ),
      (["a", "--token-schedule", "cosine"], ["--token-schedule cosine", "quarters"]),
      (["a", "--sampler", "plms"], ["--sampler", "plms", "dpm++2m"]),
      (["a", "--eta", "nan"], ["--eta", "nan"]),
      (["a", "-s", "many"], ["-s", "many"]),
      (["a", "--steps", "99999999999999999999"], ["--steps", "99999999999999999999"]),
      (["a", "--width", "1.5"], ["--width", "1.5"]),
      (["a", "-g", "inf"], ["-g", "inf"]),
      (["a", "--seed", "-1"], ["--seed", "-1", "18446744073709551615"]),
      (["a", "--seed", "18446744073709551616"], ["--seed", "18446744073709551616"]),
      (["a", "-c", "0"], ["--count 0"]),
      (["a", "-c", "10001"], ["--count 10001"]),
      (["a", "-q", "0"], ["--quality 0"]),
      (["a", "-q", "101"], ["--quality 101"]),
      (["a", "-q101"], ["--quality 101"]),
      (["a", "-j", "0"], ["--threads 0"]),
      (["a", "--precision", "f64"], ["--precision", "f64"]),
      (["a", "-o", "-", "--json"], ["--json"]),
      (["a", "-o", "-", "-c", "2"], ["--output -"]),
      (["a", "-o", "picture.png"], ["picture.png", "JPEG"]),
    ] as [([String], [String])])
  func wrongOptions(arguments: [String], words: [String]) throws {
    try withTool { tool in
      try expectRefusal(tool, arguments + ["-m", "/nowhere"], code: 64, words: words)
    }
  }

  @Test("the words of the model inside, and advice about a word that is none of them")
  func words() throws {
    try withTool { tool in
      let list = try tool.run(["--words"])
      #expect(list.code == 0 && list.errors.isEmpty)
      #expect(list.text.hasPrefix("things: "))
      for word in ["house", "\ncolours: red, ", "\nplaces: ", "\nweathers: "] {
        #expect(list.text.contains(word), "\(word)")
      }
      let small = ["-W", "32", "-H", "32", "--steps", "1"]
      let unknown = try tool.run(["a red astronaut on a horse"] + small)
      #expect(unknown.code == 0)
      #expect(unknown.errors.contains("default model does not know \"astronaut\""))
      #expect(unknown.errors.contains("`sparsedit-t2i --words`"))
      #expect(!unknown.errors.contains("horse"))
      let known = try tool.run(["a red house"] + small)
      #expect(known.code == 0 && !known.errors.contains("does not know"))
      #expect(known.errors.contains("default model was made for 256×256: 32×32 may look broken"))
      let usual = try tool.run(["a red house", "-W", "192", "--steps", "1"])
      #expect(usual.code == 0 && !usual.errors.contains("default model"))
      let quiet = try tool.run(["an astronaut", "--quiet"] + small)
      #expect(quiet.code == 0 && quiet.errors.isEmpty)
      try expectRefusal(
        tool, ["--words", "-m", Tool.model], code: 66, words: ["words.json", Tool.model])
    }
  }

  @Test("help that cannot be written")
  func helpWithoutRoom() throws {
    try withTool { tool in
      let outcome = try tool.shell(#""$TOOL" --help >/dev/full; echo $? >&2"#)
      #expect(outcome.errors.contains("standard output") && outcome.errors.hasSuffix("\n73\n"))
    }
  }

  @Test("a prompt that is not UTF-8")
  func invalidText() throws {
    try withTool { tool in
      let outcome = try tool.shell(#""$TOOL" --model x $'caf\xe9'"#)
      #expect(outcome.code == 64)
      #expect(outcome.errors == "sparsedit-t2i: argument 3 is not valid UTF-8\n")
    }
  }

  @Test(
    "what the model cannot do is refused with its limits, before drawing",
    arguments: [
      (["-W", "0"], ["width 0"]), (["-W", "-16"], ["width -16"]),
      (["-H", "24"], ["height 24", "16"]), (["-W", "1600000000"], ["width 1600000000"]),
      (["-g", "1e308"], ["guidance scale 1e+308", "1000"]), (["-s", "0"], ["0 steps", "999"]),
      (["-s", "1000000000"], ["1000000000", "999"]),
    ] as [([String], [String])])
  func outOfRange(arguments: [String], words: [String]) throws {
    try withTool { tool in
      try expectRefusal(
        tool, ["a cat", "--model", Tool.model] + arguments, code: 64, words: words)
    }
  }
}
