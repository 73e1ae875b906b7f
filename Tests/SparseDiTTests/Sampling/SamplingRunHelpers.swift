@testable import SparseDiT

/// Takes a step on arrays.
func step(_ run: inout any SamplingRun, _ output: [Float], _ sample: inout [Float]) throws {
  try output.withUnsafeBufferPointer { output in
    try sample.withUnsafeMutableBufferPointer { sample in
      try run.step(modelOutput: output, sample: sample)
    }
  }
}

/// What a run makes of a sample for the model.
func modelInput(_ run: any SamplingRun, _ sample: [Float]) -> [Float] {
  var input = [Float](repeating: .nan, count: sample.count)
  sample.withUnsafeBufferPointer { sample in
    input.withUnsafeMutableBufferPointer { run.scaleModelInput(sample, into: $0) }
  }
  return input
}

/// ‖a − b‖ ÷ ‖b‖ in f64; infinite when they differ in count or a is not finite.
func relativeError(_ a: [Float], _ b: [Double]) -> Double {
  guard a.count == b.count, a.allSatisfy(\.isFinite) else { return .infinity }
  let difference = zip(a, b).reduce(0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
  return (difference / b.reduce(0) { $0 + $1 * $1 }).squareRoot()
}
