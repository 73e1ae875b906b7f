/// The Box-Muller transform of 16 uniform values in single precision, rounding by rounding as
/// PyTorch's AVX2 kernel does it.
///
/// That kernel takes logarithm, sine and cosine from S. Moshier's Cephes polynomials, and its
/// compiler fuses each product with the sum that follows. `addingProduct` stands where it fuses; a
/// product that is rounded there is rounded here. Replacing any of it by the C library's functions
/// changes last bits.
enum BoxMuller {
  /// Values per block: 8 radii and 8 angles give 8 cosines and 8 sines.
  static let block = 16
  /// The f32 nearest to 2π; `Float.pi` is rounded down.
  private static let twoPi: Float = 6.28318530717958648

  /// Turns the uniform values at `start ..< start + 16` into normal ones.
  static func transform(_ values: UnsafeMutableBufferPointer<Float>, at start: Int) {
    let half = block / 2
    for index in start..<(start + half) {
      let radius = (-2 * logarithm(1 - values[index])).squareRoot()
      let (sine, cosine) = sineAndCosine(twoPi * values[index + half])
      // Adding the mean 0 makes −0 positive.
      values[index] = radius * cosine + 0
      values[index + half] = radius * sine + 0
    }
  }

  /// ln x for normal x > 0.
  static func logarithm(_ x: Float) -> Float {
    // x = m · 2^e with m in [√½, √2), and ln(1 + f) by a polynomial in f = m − 1.
    var exponent = Float(x.exponent + 1)
    var fraction = x.significand / 2
    if fraction < 0.707106781186547524 {
      exponent -= 1
      fraction = (fraction - 1) + fraction
    } else {
      fraction -= 1
    }
    let square = fraction * fraction
    let series = horner(
      fraction, 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1,
      1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)
    // ln 2 in two parts, of which the larger has few bits.
    var tail = (exponent * -2.12194440e-4).addingProduct(series * fraction, square)
    tail -= square * 0.5
    return (fraction + tail).addingProduct(exponent, 0.693359375)
  }

  /// sin x and cos x for 0 ≤ x < 8192.
  static func sineAndCosine(_ x: Float) -> (sine: Float, cosine: Float) {
    // The nearest even multiple of π/4 is taken off, π/4 in three parts.
    let octant = (Int32(x * 1.27323954473516) + 1) & ~1
    let multiple = Float(octant)
    let rest = x.addingProduct(multiple, -0.78515625)
      .addingProduct(multiple, -2.4187564849853515625e-4)
      .addingProduct(multiple, -3.77489497744594108e-8)
    let square = rest * rest
    let cosineSeries = horner(
      square, 2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
    let nearOne = (square * -0.5).addingProduct(cosineSeries * square, square) + 1
    let sineSeries = horner(square, -1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
    let nearZero = rest.addingProduct(sineSeries * square, rest)
    let swaps = octant & 2 != 0
    let sine = swaps ? nearOne : nearZero
    let cosine = swaps ? nearZero : nearOne
    return (
      octant & 4 != 0 ? -sine : sine,
      (octant - 2) & 4 == 0 ? -cosine : cosine
    )
  }

  /// The polynomial with these coefficients, highest power first, each step fused.
  @inline(__always)
  private static func horner(_ x: Float, _ first: Float, _ rest: Float...) -> Float {
    rest.reduce(first) { sum, coefficient in coefficient.addingProduct(sum, x) }
  }
}
