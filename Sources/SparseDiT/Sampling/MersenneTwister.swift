/// mt19937: Matsumoto and Nishimura's generator of 32-bit words with period 2^19937 − 1.
struct MersenneTwister {
  private static let size = 624
  private static let middle = 397
  private var state: [UInt32]
  private var next: Int

  /// - Parameter seed: any 32 bits; expanded as the authors' 2002 reference does.
  init(seed: UInt32) {
    var word = seed
    state = [word]
    state.reserveCapacity(Self.size)
    for index in 1..<UInt32(Self.size) {
      word = 1_812_433_253 &* (word ^ (word >> 30)) &+ index
      state.append(word)
    }
    next = Self.size
  }

  /// The next word, uniform over all 32-bit values.
  mutating func word() -> UInt32 {
    if next == Self.size { refill() }
    var word = state[next]
    next += 1
    word ^= word >> 11
    word ^= (word << 7) & 0x9d2c_5680
    word ^= (word << 15) & 0xefc6_0000
    return word ^ (word >> 18)
  }

  private mutating func refill() {
    for index in 0..<Self.size {
      let following = state[(index + 1) % Self.size]
      let joined = (state[index] & 0x8000_0000) | (following & 0x7fff_ffff)
      let twisted = (joined >> 1) ^ (joined & 1 == 0 ? 0 : 0x9908_b0df)
      state[index] = state[(index + Self.middle) % Self.size] ^ twisted
    }
    next = 0
  }
}
