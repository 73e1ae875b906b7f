import Glibc

/// How steps are laid over the training timesteps (table 2 of Lin et al., arXiv 2305.08891).
///
/// DPM-Solver's form of it: timestep 0 is left to the final σ.
enum TimestepSpacing: String, CaseIterable, Sendable {
  case linspace, leading, trailing

  /// Timesteps from noise to data.
  ///
  /// - Parameters:
  ///   - steps: 1 … `last`.
  ///   - last: one past the noisiest timestep that is used.
  ///   - trained: number of training timesteps.
  ///   - offset: added where spacing is leading.
  func timesteps(steps: Int, last: Int, trained: Int, offset: Int) -> [Int] {
    switch self {
    case .linspace:
      let interval = Double(last - 1) / Double(steps)
      return (1...steps).reversed().map { step in
        // As numpy's linspace: the last value is exactly the end.
        let place = step == steps ? Double(last - 1) : Double(step) * interval
        return Int(place.rounded(.toNearestOrEven))
      }
    case .leading:
      let interval = last / (steps + 1)
      return (1...steps).reversed().map { $0 * interval + offset }
    case .trailing:
      // As numpy's arange, whose length and values carry the rounding of the interval; it may come
      // out shorter than `steps` when `last` is less than `trained`.
      let interval = Double(trained) / Double(steps)
      let start = Double(last)
      let difference = (start - interval) - start
      return (0..<Int((start / interval).rounded(.up))).map { index in
        Int((start + Double(index) * difference).rounded(.toNearestOrEven)) - 1
      }
    }
  }
}
