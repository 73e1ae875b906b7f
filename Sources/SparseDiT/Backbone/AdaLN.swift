import Tensors

/// Adaptive layer norm: what the timestep and the condition do to every norm and residual. The part
/// of a backbone in which the families differ.
protocol AdaLN: Sendable {
  /// Works out several forwards at once, so that the weights are read once for all of them: they are
  /// large, and a forward alone uses them for a row or two.
  ///
  /// - Parameters:
  ///   - timesteps: one for each forward and its whole batch, 0 = data.
  ///   - condition: of the kind that the backbone takes.
  /// - Returns: one for each timestep.
  func forward(
    timesteps: [Double], _ condition: Condition<PreparedText, [Int]>, on compute: Compute
  ) throws(SparseDiTError) -> [ForwardModulation]
}
