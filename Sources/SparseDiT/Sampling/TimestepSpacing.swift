import Glibc
import Tensors

/// How steps are laid over the training timesteps (table 2 of Lin et al., arXiv 2305.08891).
enum TimestepSpacing: String, CaseIterable, Sendable {
  case linspace, leading, trailing

  /// From `timestep_spacing`.
  init(_ config: ConfigObject, default fallback: Self) throws(SparseDiTError) {
    let name = try config.string(
      "timestep_spacing", oneOf: Self.allCases.map(\.rawValue), default: fallback.rawValue)
    self = Self(rawValue: name) ?? fallback
  }

  /// Timesteps from noise to data, all of 0 … trained − 1 in reach; fractional only for `linspace`.
  ///
  /// - Parameters:
  ///   - steps: 1 … `trained`.
  ///   - offset: added where spacing is leading.
  func respaced(steps: Int, trained: Int, offset: Int) -> [Double] {
    switch self {
    case .linspace:
      let last = Double(trained - 1)
      let interval = steps > 1 ? last / Double(steps - 1) : 0
      return (0..<steps).reversed().map { step in
        // As numpy's linspace: the last value is exactly the end.
        step > 0 && step == steps - 1 ? last : Double(step) * interval
      }
    case .leading:
      let interval = trained / steps
      return (0..<steps).reversed().map { Double($0 * interval + offset) }
    case .trailing:
      // Where the interval is rounded down there would be one more, at −1, which no model is trained for.
      return timesteps(steps: steps, last: trained, trained: trained, offset: 0)
        .filter { $0 >= 0 }.map(Double.init)
    }
  }

  /// DPM-Solver's form of it, from noise to data: timestep 0 is left to the final σ.
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
