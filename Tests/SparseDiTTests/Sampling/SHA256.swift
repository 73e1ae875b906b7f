/// SHA-256 (FIPS 180-4) of values' little-endian f32 bits, as hex: lets a golden file pin thousands of
/// values by 64 characters.
func sha256(_ values: [Float]) -> String {
  var message: [UInt8] = []
  message.reserveCapacity(values.count * 4 + 128)
  for value in values {
    withUnsafeBytes(of: value.bitPattern.littleEndian) { message += $0 }
  }
  return SHA256.digest(of: message)
}

private enum SHA256 {
  /// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
  static let constants = firstPrimes(64).map { fraction(of: $0, root: 3) }
  /// The same of the square roots of the first 8.
  static let start = firstPrimes(8).map { fraction(of: $0, root: 2) }

  static func digest(of message: [UInt8]) -> String {
    var padded = message + [0x80]
    padded += [UInt8](repeating: 0, count: (120 - padded.count % 64) % 64)
    withUnsafeBytes(of: UInt64(message.count * 8).bigEndian) { padded += $0 }
    var state = start
    for block in stride(from: 0, to: padded.count, by: 64) {
      compress(padded[block..<(block + 64)], into: &state)
    }
    return state.map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
  }

  private static func compress(_ block: ArraySlice<UInt8>, into state: inout [UInt32]) {
    var words = stride(from: block.startIndex, to: block.endIndex, by: 4).map { index in
      block[index..<(index + 4)].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    }
    for index in 16..<64 {
      let (early, late) = (words[index - 15], words[index - 2])
      let low = rotated(early, 7) ^ rotated(early, 18) ^ (early >> 3)
      let high = rotated(late, 17) ^ rotated(late, 19) ^ (late >> 10)
      words.append(words[index - 16] &+ low &+ words[index - 7] &+ high)
    }
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for index in 0..<64 {
      let choice = (e & f) ^ (~e & g)
      let mixed = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)
      let first = h &+ mixed &+ choice &+ constants[index] &+ words[index]
      let majority = (a & b) ^ (a & c) ^ (b & c)
      let second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) &+ majority
      (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
    }
    for (index, value) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= value }
  }

  private static func rotated(_ word: UInt32, _ places: UInt32) -> UInt32 {
    word >> places | word << (32 - places)
  }

  private static func firstPrimes(_ count: Int) -> [UInt64] {
    var primes: [UInt64] = []
    var candidate: UInt64 = 2
    while primes.count < count {
      if primes.allSatisfy({ candidate % $0 != 0 }) { primes.append(candidate) }
      candidate += 1
    }
    return primes
  }

  /// ⌊2³² · frac(prime^(1/root))⌋ by integer search: the largest r with r^root ≤ prime · 2^(32·root).
  private static func fraction(of prime: UInt64, root: Int) -> UInt32 {
    func isAtMost(_ candidate: UInt64) -> Bool {
      // candidate < 2^35, so its square fits in 70 bits and its cube in 105: UInt128 holds both.
      var power: UInt128 = 1
      for _ in 0..<root { power *= UInt128(candidate) }
      return power <= UInt128(prime) << UInt128(32 * root)
    }
    var (low, high) = (UInt64(0), UInt64(1) << 37)
    while high - low > 1 {
      let middle = (low + high) / 2
      if isAtMost(middle) { low = middle } else { high = middle }
    }
    return UInt32(truncatingIfNeeded: low)
  }
}
