/// Classifier-free guidance of one evaluation: the prediction for a condition, moved away from the one
/// without it. On above 1; then both come from one forward of a batch of two.
///
/// Source: Ho and Salimans, arXiv 2207.12598, in the form of diffusers' pipelines.
package struct Guidance: Sendable, Hashable {
  package let scale: Double

  package init(scale: Double) { self.scale = scale }

  package var isOn: Bool { scale > 1 }
  /// Pictures that go through the backbone together.
  package var batch: Int { isOn ? 2 : 1 }

  /// What each picture of the batch is drawn by, in the order that ``combine(_:guided:into:)`` takes.
  func conditions<Value>(unconditional: Value, conditional: Value) -> [Value] {
    isOn ? [unconditional, conditional] : [conditional]
  }

  /// u + scale · (c − u), u and c being the unconditional and the conditional values; behind the
  /// guided ones c as it is.
  ///
  /// - Parameters:
  ///   - output: of the backbone for the batch, as many values for each picture.
  ///   - guided: values of a picture that guidance acts on, from the first.
  ///   - prediction: receives as many of the first values as it has.
  func combine(
    _ output: UnsafeBufferPointer<Float>, guided: Int,
    into prediction: UnsafeMutableBufferPointer<Float>
  ) {
    let size = output.count / batch
    let unconditional = UnsafeBufferPointer(rebasing: output[..<size])
    let conditional = UnsafeBufferPointer(rebasing: output[(output.count - size)...])
    let guided = isOn ? guided : 0
    let scale = Float(scale)
    for index in 0..<guided {
      prediction[index] =
        unconditional[index] + scale * (conditional[index] - unconditional[index])
    }
    for index in guided..<prediction.count { prediction[index] = conditional[index] }
  }
}
