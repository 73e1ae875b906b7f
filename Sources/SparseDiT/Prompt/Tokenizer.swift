import CSentencePiece
import Tensors

/// Token ids of one caption, padded to a fixed length.
package struct TokenizedPrompt: Sendable, Equatable {
  /// Token ids; the end-of-sequence token follows the text, padding follows that.
  package let ids: [Int32]
  /// 1 for a token, 0 for padding; as many as `ids`.
  package let mask: [Int32]
}

/// Captions to T5 token ids, equal to those of transformers' `T5Tokenizer`.
///
/// Immutable; may be used from several threads.
package struct Tokenizer: Sendable {
  /// - Parameters:
  ///   - model: the SentencePiece model, `tokenizer/spiece.model`.
  ///   - name: what messages call it.
  /// - Throws: `invalidData` when the bytes are not a SentencePiece unigram model.
  package init(model: FileBytes, name: String) throws(SparseDiTError) {
    throw .internalFailure("\(name): not yet")
  }

  /// The ids of a caption as given; see ``Prompt/cleaned(_:)`` for what comes before.
  /// - Parameter maxLength: length of the result, at least 1; a longer caption is cut, keeping the
  ///   end-of-sequence token last.
  package func encode(_ caption: String, maxLength: Int) -> TokenizedPrompt {
    TokenizedPrompt(ids: [], mask: [])
  }
}
