/// Prompt and settings of a picture as the text that AUTOMATIC1111's web UI writes into its pictures
/// ("infotext"), which that program, Civitai and others read back.
///
/// The prompt comes first, as written; then a line `Negative prompt: …` if there is one; then one
/// line of `name: value` pairs. A value that holds a comma, colon or line break stands in JSON quotes.
public struct GenerationParameters: Sendable, Hashable {
  public var prompt: String
  public var negativePrompt: String
  /// In the order in which they are written. Readers know "Steps", "Sampler", "CFG scale", "Seed",
  /// "Size" and "Model", and take the last line for settings if it has at least three.
  public var settings: [Setting]

  public struct Setting: Sendable, Hashable {
    public var name: String
    public var value: String
    public init(_ name: String, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  public init(prompt: String, negativePrompt: String = "", settings: [Setting]) {
    self.prompt = prompt
    self.negativePrompt = negativePrompt
    self.settings = settings
  }

  public var text: String { text(fitting: .max) }

  /// The text with prompts cut so that it has at most `limit` UTF-16 code units. The settings, which
  /// draw the picture again, stay whole: only where they alone are longer, so is the text.
  func text(fitting limit: Int) -> String {
    let label = negativePrompt.isEmpty ? "" : "\nNegative prompt: "
    let end = "\n" + settingsLine
    let room = max(limit - label.utf16.count - end.utf16.count, 0)
    // Half of the room is each prompt's own; what one does not need is the other's.
    let prompt = prompt.cut(toUTF16: max(room / 2, room - negativePrompt.utf16.count))
    return prompt + label + negativePrompt.cut(toUTF16: room - prompt.utf16.count) + end
  }

  private var settingsLine: String {
    settings.map { "\($0.name): \(Self.quoted($0.value))" }.joined(separator: ", ")
  }

  private static func quoted(_ value: String) -> String {
    guard value.unicodeScalars.contains(where: { ",:\"\\".unicodeScalars.contains($0) || $0 < " " })
    else { return value }
    var quoted = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case "\n": quoted += "\\n"
      case ..<" ":
        let code = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - code.count) + code
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
