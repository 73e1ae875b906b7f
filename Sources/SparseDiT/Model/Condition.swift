import Tensors

/// What a picture is drawn by, besides noise. One vocabulary for it on its whole way, from a model's
/// files to the backbone's blocks:
///
/// |                             | text                  | classes            |
/// |-----------------------------|-----------------------|--------------------|
/// | a backbone's configuration  | ``TextInput``         | ``ClassInput``     |
/// | an outline of a model       | ``T5Config``          | ``ImageClasses``   |
/// | a loaded model              | ``PromptEncoder``     | ``ImageClasses``   |
/// | a plan                      | ``TokenizedPrompt``s  | labels             |
/// | a caller's own loop         | ``TextFeatures``      | labels             |
/// | a forward of the backbone   | ``PreparedText``      | labels             |
///
/// Labels are 0 ..< n of n classes; n itself stands for none of them.
package enum Condition<Text, Classes> {
  case text(Text)
  case classes(Classes)

  package var kind: ConditionKind {
    switch self {
    case .text: .text
    case .classes: .classes
    }
  }

  /// Nil where classes are drawn.
  package var text: Text? {
    if case .text(let text) = self { text } else { nil }
  }
  /// Nil where text is read.
  package var classes: Classes? {
    if case .classes(let classes) = self { classes } else { nil }
  }
}

extension Condition: Sendable where Text: Sendable, Classes: Sendable {}
extension Condition: Equatable where Text: Equatable, Classes: Equatable {}
extension Condition: Hashable where Text: Hashable, Classes: Hashable {}

/// The kinds of ``Condition``, as messages call them.
package enum ConditionKind: String, Sendable {
  case text = "text"
  case classes = "a class"

  /// What a model of this kind answers to what belongs to another one. The one place that says so.
  ///
  /// - Parameter what: what messages call that which was given, such as "negative prompt".
  package func refusal(of what: String, _ given: ConditionKind) -> SparseDiTError {
    .invalidArgument("\(what): this model draws from \(rawValue), not from \(given.rawValue)")
  }

  /// - Throws: ``refusal(of:_:)`` unless a model of this kind takes what was given.
  package func require(_ given: ConditionKind, of what: String) throws(SparseDiTError) {
    guard self == given else { throw refusal(of: what, given) }
  }
}
