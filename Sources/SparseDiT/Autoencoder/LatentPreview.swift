import Tensors

/// Latents as a small picture, one pixel each, without running the decoder: a linear map from
/// channels to RGB that is fitted once to what the decoder makes of random latents.
struct LatentPreview: Sendable {
  /// Row per colour: a factor for each latent channel, then a constant.
  private let map: [[Double]]

  /// Latents a side of the probe, and of its patches of one value: larger than a decoder's detail.
  private static let side = 16
  private static let patch = 4

  /// Fits the map: one decode of a 16×16 probe, and least squares.
  init(of decoder: AutoencoderKL, on compute: Compute) throws(SparseDiTError) {
    let (side, patch, channels) = (Self.side, Self.patch, decoder.latentChannels)
    let patches = side / patch
    var generator = TorchGenerator(seed: 0)
    let values = generator.randn(count: channels * patches * patches)
    func value(_ channel: Int, _ row: Int, _ column: Int) -> Float {
      values[(channel * patches + row / patch) * patches + column / patch]
    }
    var probe: [Float] = []
    var inputs: [[Double]] = Array(repeating: [], count: side * side)
    for channel in 0..<channels {
      for place in 0..<side * side {
        let latent = value(channel, place / side, place % side)
        probe.append(latent)
        inputs[place].append(Double(latent))
      }
    }
    let pixels = try decoder.decode(Tensor(probe, [1, channels, side, side]), on: compute)
    let cells = try compute.adaptiveAveragePool(  // [3, side·side, 1]
      pixels.reshaped([3, pixels.shape[2] * pixels.shape[3], 1]),
      from: Grid(height: pixels.shape[2], width: pixels.shape[3]),
      to: Grid(height: side, width: side))
    let colours = cells.floats().map(Double.init)
    map = (0..<3).map { colour in
      leastSquares(
        inputs.map { $0 + [1] }, Array(colours[colour * side * side..<(colour + 1) * side * side]))
    }
  }

  /// - Parameters:
  ///   - latents: `[C, height, width]`, C as of the decoder.
  /// - Returns: a picture of `width`×`height` pixels.
  func image(
    of latents: [Float], height: Int, width: Int
  ) throws(SparseDiTError) -> RGBImage {
    let places = height * width
    var colours: [Float] = []
    colours.reserveCapacity(3 * places)
    for row in map {
      for place in 0..<places {
        var colour = row[row.count - 1]
        for channel in 0..<row.count - 1 {
          colour += row[channel] * Double(latents[channel * places + place])
        }
        colours.append(Float(colour))
      }
    }
    return try RGBImage(decoded: Tensor(colours, [1, 3, height, width]), index: 0)
  }
}

/// The x that minimises ‖A·x − b‖², by the normal equations: few columns, well apart.
func leastSquares(_ rows: [[Double]], _ b: [Double]) -> [Double] {
  let count = rows.first?.count ?? 0
  var system = [[Double]](repeating: [Double](repeating: 0, count: count + 1), count: count)
  for (row, target) in zip(rows, b) {
    for i in 0..<count {
      for j in 0..<count { system[i][j] += row[i] * row[j] }
      system[i][count] += row[i] * target
    }
  }
  // A little weight on the diagonal keeps a channel that never varies from dividing by zero.
  for i in 0..<count { system[i][i] += 1e-6 }
  for i in 0..<count {
    for j in 0..<count where j != i {
      let factor = system[j][i] / system[i][i]
      for k in i...count { system[j][k] -= factor * system[i][k] }
    }
  }
  return (0..<count).map { system[$0][count] / system[$0][$0] }
}
