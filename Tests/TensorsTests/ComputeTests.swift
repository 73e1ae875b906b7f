import Glibc
import Testing

@testable import Tensors

@Suite struct ComputeTests {
  /// One thread, two, three and seven (more than this machine may have): the same bits.
  @Test(arguments: Setting.all) func threadsDoNotChangeResults(_ setting: Setting) throws {
    func results(_ threads: Int) throws -> [[Float]] {
      let compute = try Compute(
        threads: threads, precision: setting.precision, nativeBF16: setting.nativeBF16,
        level: setting.level)
      #expect(compute.threads == threads)
      var numbers = Numbers()
      let x = try numbers.tensor([2, 260, 96], on: compute)
      let image = try numbers.tensor([1, 40, 36, 32], compute.activationDType, on: compute)
      let convolution = Convolution(
        weight: try numbers.tensor([48, 32, 3, 3], compute.weightDType, on: compute), bias: nil,
        stride: 1, padding: 1)
      let channels = try numbers.tensor([32], on: compute)
      var results = [
        try compute.layerNorm(x, epsilon: 1e-6),
        try compute.layerNormMean(x, epsilon: 1e-6),
        try compute.attention(query: x, key: x, value: x, heads: 4, scale: 0.2),
        try compute.convolution(image, convolution),
        try compute.groupNorm(
          image, groups: 8, weight: channels, bias: channels, epsilon: 1e-6, silu: true),
      ]
      // Few rows and long sums are where a library would share out the sum itself.
      for (rows, inputs, outputs) in [
        (2, 1152, 2048), (8, 4096, 256), (130, 96, 288), (1, 700, 3), (300, 1152, 192),
      ] {
        let a = try numbers.tensor([rows, inputs], compute.activationDType, on: compute)
        let weight = try numbers.tensor([outputs, inputs], compute.weightDType, on: compute)
        for isReadOften in [false, true] {
          let layer = Linear(weight: weight, bias: nil, isReadOften: isReadOften)
          results.append(try compute.linear(a, layer, activation: .gelu))
        }
      }
      return results.map { $0.floats() }
    }
    let one = try results(1)
    for threads in [2, 3, 7] {
      for (index, (a, b)) in zip(one, try results(threads)).enumerated() {
        #expect(a == b, "operation \(index) with \(threads) threads")
      }
    }
  }

  /// With 32 queries in each there are 128 pieces, which one thread computes in several turns.
  @Test func longAttentionAsksWhetherToGoOn() throws {
    var asked = 0
    func attend(_ threads: Int, cancelAt last: Int) throws -> [Float] {
      asked = 0
      let compute = try Compute(threads: threads, precision: .f32)
      var numbers = Numbers()
      let x = try numbers.tensor([1, 4096, 8], on: compute)
      return try compute.attention(query: x, key: x, value: x, heads: 1, scale: 0.3) {
        () throws(SparseDiTError) in
        asked += 1
        if asked == last { throw .cancelled }
      }.floats()
    }
    let whole = try attend(1, cancelAt: 0)
    #expect(asked == 4)
    #expect(throws: SparseDiTError.cancelled) { try attend(1, cancelAt: 3) }
    #expect(asked == 3)
    #expect(try attend(5, cancelAt: 0) == whole && asked == 1)
  }

  @Test func argumentsAreChecked() {
    #expect(throws: SparseDiTError.self) { try Compute(threads: 0, precision: .f32) }
    #expect(throws: SparseDiTError.self) { try Compute(threads: 100_000, precision: .f32) }
    #expect(throws: SparseDiTError.self) {
      try Compute(threads: 1, precision: .f32, memoryLimit: -1)
    }
  }

  @Test func memoryIsCountedAndLimited() throws {
    let compute = try Compute(threads: 1, precision: .f32, memoryLimit: 1 << 20)
    #expect(compute.liveBytes == 0 && compute.peakBytes == 0)
    do {
      let half = try compute.empty([131_072], .f32)
      #expect(compute.liveBytes == 1 << 19 && half.shape.count == 131_072)
      let error = #expect(throws: SparseDiTError.self) { try compute.empty([131_073], .f32) }
      guard case .outOfMemory(let message) = error else { throw error! }
      #expect(message.contains("1048576"))
      _ = try compute.empty([131_072], .f32)
      #expect(compute.peakBytes == 1 << 20)
    }
    #expect(compute.liveBytes == 0)
    // Memory that is not in use is freed for another size.
    _ = try compute.empty([200_000], .f32)
    #expect(compute.peakBytes == 1 << 20)
  }

  @Test func idleMemoryStaysWithinTheAllowance() throws {
    let compute = try Compute(threads: 1, precision: .f32)
    for count in [1 << 10, 2 << 10, 3 << 10] { _ = try compute.empty([count], .f32) }
    #expect(compute.heldPeakBytes == 6 << 12)  // a block of each size
    compute.scratchAllowance = 4 << 12
    let two = try compute.empty([2 << 10], .f32)
    let one = try compute.empty([1 << 10], .f32)
    // Sizes 1 and 2, unused for the longest time, were freed first, and then 3 for the new 2.
    #expect(compute.liveBytes == 3 << 12 && compute.heldPeakBytes == 6 << 12)
    // A request gets what it needs all the same.
    let four = try compute.empty([4 << 10], .f32)
    #expect(compute.liveBytes == 7 << 12 && compute.heldPeakBytes == 7 << 12)
    withExtendedLifetime((one, two, four)) {}
  }

  @Test func blocksAreReusedAndAligned() throws {
    let compute = try Compute(threads: 1, precision: .f32)
    for count in [1, 100, 1 << 12, 1 << 20] {
      let first = try compute.empty([count], .f32).pointer
      let second = try compute.empty([count], .f32).pointer
      #expect(first == second)
      #expect(UInt(bitPattern: first) % 64 == 0)
    }
  }

  @Test func sizesAreRoundedByAnEighthAtMost() {
    for count in [0, 1, 63, 64, 65, 512, 513, 1000, 4096, 4097, 1_000_001, 1 << 40] {
      let rounded = Workspace.rounded(count)
      #expect(rounded >= count && rounded % 64 == 0)
      #expect(count < 512 || rounded - count <= count / 8)
    }
    #expect(Workspace.rounded(Int.max) == Int.max)
  }

  @Test func impossibleSizesAreErrors() throws {
    #expect(throws: SparseDiTError.self) { try Storage(allocating: -1) }
    #expect(throws: SparseDiTError.self) { try Storage(allocating: 1 << 60) }
    #expect(throws: SparseDiTError.self) { try Tensor([Float](arrayLiteral: 1, 2), [3]) }
  }

  @Test func tensorsOutliveTheirCompute() throws {
    var tensor: Tensor
    do { tensor = try Compute(threads: 1, precision: .f32).scaled(try Tensor([2.0], [1]), by: 3) }
    #expect(tensor.floats() == [6])
    tensor = try Tensor([1.0], [1])
  }

  @Test func views() throws {
    let x = try Tensor((0..<24).map(Float.init), [2, 3, 4])
    let view = x.columns(1..<3)
    #expect(view.floats() == [1, 2, 5, 6, 9, 10, 13, 14, 17, 18, 21, 22])
    #expect(!view.isContiguous && view.shape == [2, 3, 2])
    #expect(view.rows(1..<2).floats() == [13, 14, 17, 18, 21, 22])
    #expect(x.reshaped([6, 4]).rows(4..<6).floats() == (16..<24).map(Float.init))
  }
}

@Suite struct ComputeThreadTests {
  @Test func runsElsewhereAndReturns() throws {
    let thread = try ComputeThread()
    let caller = pthread_self()
    let worker = try thread.sync { pthread_self() }
    #expect(pthread_equal(caller, worker) == 0)
    #expect(try thread.sync { pthread_self() } == worker)
  }

  @Test func errorsComeBack() throws {
    let thread = try ComputeThread()
    #expect(throws: SparseDiTError.cancelled) {
      try thread.sync { () throws(SparseDiTError) in throw .cancelled }
    }
    #expect(try thread.sync { 3 } == 3)
  }

  @Test func callsBackOnTheCallersThread() throws {
    let thread = try ComputeThread()
    let caller = pthread_self()
    var calls = 0
    try thread.sync {
      for _ in 0..<100 {
        thread.callBack { calls += pthread_equal(pthread_self(), caller) != 0 ? 1 : 0 }
      }
    }
    #expect(calls == 100)
  }

  @Test func aSecondCallIsRefused() throws {
    let thread = try ComputeThread()
    var refused: SparseDiTError?
    try thread.sync {
      thread.callBack {
        do throws(SparseDiTError) { try thread.sync {} } catch { refused = error }
      }
    }
    guard case .internalFailure = refused else {
      Issue.record("expected a refusal, got \(String(describing: refused))")
      return
    }
  }

  /// A host may round differently and flush tiny numbers to zero; its pictures stay the same.
  @Test func hasItsOwnFloatingPointMode() throws {
    let before = fegetround()
    defer { fesetround(before) }
    fesetround(FE_UPWARD)
    let thread = try ComputeThread()
    #expect(try thread.sync { fegetround() } == FE_TONEAREST)
    #expect(fegetround() == FE_UPWARD)
  }

  @Test func signalsAreTheHosts() throws {
    func blocked() -> [Bool] {
      var mask = sigset_t()
      pthread_sigmask(SIG_BLOCK, nil, &mask)
      return [SIGINT, SIGTERM, SIGCHLD].map { sigismember(&mask, $0) == 1 }
    }
    let before = blocked()
    #expect(try ComputeThread().sync { blocked() } == [true, true, true])
    #expect(blocked() == before)
  }
}
