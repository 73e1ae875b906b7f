/// Most bytes that a message has in UTF-8.
package let messageLimit = 1000

/// A message in the form in which it is shown: one line, printable, of at most ``messageLimit``
/// bytes. Messages quote files, whose text may be long, break lines or steer a terminal.
///
/// Every kind of white space becomes a space, other characters that cannot be seen U+FFFD. What is
/// too long loses its middle: names stand at the beginning, and what was wrong at the end.
package func messageLine(_ text: String) -> String {
  var line = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control where scalar.properties.isWhitespace,
      .lineSeparator, .paragraphSeparator, .spaceSeparator:
      if line.last != " " { line.append(" ") }
    case .control, .format, .surrogate, .privateUse, .unassigned: line.append("\u{FFFD}")
    default: line.append(scalar)
    }
  }
  return shortened(String(line))
}

/// Cuts a text that is too long in its middle, between characters of Unicode.
private func shortened(_ line: String) -> String {
  let utf8 = Array(line.utf8)
  guard utf8.count > messageLimit else { return line }
  let mark = " … "
  func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }
  var head = messageLimit * 3 / 5
  while head > 0, isContinuation(utf8[head]) { head -= 1 }
  var tail = utf8.count - (messageLimit - head - mark.utf8.count)
  while tail < utf8.count, isContinuation(utf8[tail]) { tail += 1 }
  return String(decoding: utf8[..<head], as: UTF8.self) + mark
    + String(decoding: utf8[tail...], as: UTF8.self)
}
