import Testing

@testable import SparseDiT

@Suite("Settings as AUTOMATIC1111's web UI writes them")
struct GenerationParametersTests {
  @Test("prompt, negative prompt, settings: a line each")
  func form() {
    let parameters = GenerationParameters(
      prompt: "a cat, sleeping", negativePrompt: "dog",
      settings: [.init("Steps", "20"), .init("Sampler", "DPM++ 2M"), .init("Size", "256x128")])
    #expect(
      parameters.text == """
        a cat, sleeping
        Negative prompt: dog
        Steps: 20, Sampler: DPM++ 2M, Size: 256x128
        """)
  }

  @Test("without a negative prompt its line is left out; an empty prompt keeps its own")
  func emptiness() {
    let parameters = GenerationParameters(prompt: "", settings: [.init("Steps", "1")])
    #expect(parameters.text == "\nSteps: 1")
  }

  @Test(
    "prompts too long are cut between characters, with a mark; settings stay",
    arguments: [(500, 0), (0, 500), (500, 500), (500, 3), (3, 500)])
  func cut(promptLength: Int, negativeLength: Int) {
    // Each of two scalars and four UTF-16 code units.
    let prompt = String(repeating: "👍🏽", count: promptLength)
    let negative = String(repeating: "🇨🇭", count: negativeLength)
    let parameters = GenerationParameters(
      prompt: prompt, negativePrompt: negative,
      settings: [.init("Steps", "20"), .init("Seed", "7")])
    for limit in 150..<154 {
      let text = parameters.text(fitting: limit)
      // One character that did not fit may be missing from each prompt.
      #expect((limit - 8...limit).contains(text.utf16.count))
      #expect(text.hasSuffix("\nSteps: 20, Seed: 7"))
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      #expect(isCut(lines[0], of: prompt))
      if negativeLength > 0 {
        #expect(isCut(lines[1].dropFirst("Negative prompt: ".count), of: negative))
      }
    }
    #expect(parameters.text(fitting: 10).hasSuffix("\nSteps: 20, Seed: 7"))
    #expect(parameters.text(fitting: parameters.text.utf16.count) == parameters.text)
  }

  /// Whether it is the whole text, if that is short, or else its beginning and the mark.
  private func isCut(_ line: Substring, of text: String) -> Bool {
    guard text.count > 3 else { return line == text }
    let mark = String.cutMark
    return line.count > mark.count && line.hasSuffix(mark)
      && text.hasPrefix(line.dropLast(mark.count))
  }

  @Test("the reader's pattern finds every value again, whatever is in it")
  func readBack() throws {
    let settings = [
      GenerationParameters.Setting("Steps", "20"), .init("CFG scale", "4.5"),
      .init("Model", #"odd, name: "x" \ y"#), .init("Note", "two\nlines\u{1}"), .init("RNG", "CPU"),
    ]
    let text = GenerationParameters(prompt: "p\nq", settings: settings).text
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 3)
    // The pattern with which the web UI splits the last line.
    let pattern = /\s*(\w[\w \-\/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/
    let found = lines[2].matches(of: pattern).map { (String($0.1), String($0.2)) }
    #expect(found.map(\.0) == settings.map(\.name))
    #expect(found[0].1 == "20" && found[4].1 == "CPU")
    #expect(found[2].1 == #""odd, name: \"x\" \\ y""#)
    #expect(found[3].1 == #""two\nlines\u0001""#)
  }
}
