import Testing

@testable import Tensors

@Suite struct MatrixTests {
  /// (rows per batch entry, inputs, outputs): odd, tiny, and beyond a block of oneDNN.
  static let sizes = [(1, 3, 5), (17, 33, 19), (6, 64, 48), (40, 130, 96)]

  @Test(arguments: Setting.all) func linear(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers()
    for (rows, inputs, outputs) in Self.sizes {
      let x = try numbers.view([2, rows, inputs], compute.activationDType, on: compute)
      let weight = try numbers.tensor([outputs, inputs], compute.weightDType, on: compute)
      let bias = try numbers.tensor([outputs], on: compute)
      for layer in [Linear(weight: weight, bias: bias), Linear(weight: weight, bias: nil)] {
        let expected = Reference.linear(x, layer)
        for activation in [Activation.none, .gelu, .geluErf, .silu] {
          let y = try compute.linear(x, layer, activation: activation)
          #expect(y.dtype == compute.activationDType && y.shape == [2, rows, outputs])
          let error = relativeError(y, expected.map { Reference.activate($0, activation) })
          #expect(error < setting.tolerance, "\(rows)×\(inputs)→\(outputs) \(activation)")
        }
      }
    }
  }

  @Test(arguments: Setting.all) func linearTakesF32Input(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(2)
    let x = try numbers.tensor([5, 33], on: compute)
    let layer = Linear(
      weight: try numbers.tensor([20, 33], compute.weightDType, on: compute), bias: nil)
    let y = try compute.linear(x, layer, output: .f32)
    #expect(y.dtype == .f32)
    #expect(relativeError(y, Reference.linear(x, layer)) < setting.tolerance)
  }

  @Test(arguments: Setting.all) func gatedMLP(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(3)
    let x = try numbers.tensor([2, 7, 24], compute.activationDType, on: compute)
    let factor = try numbers.view([2, 7, 40], compute.activationDType, on: compute)
    let layer = Linear(
      weight: try numbers.tensor([40, 24], compute.weightDType, on: compute), bias: nil)
    let y = try compute.linear(x, layer, activation: .gelu, multipliedBy: factor)
    let expected = zip(Reference.linear(x, layer), factor.doubles).map {
      Reference.activate($0, .gelu) * $1
    }
    #expect(relativeError(y, expected) < setting.tolerance)
  }

  @Test(arguments: Setting.all, [0, 1, 2]) func residual(_ setting: Setting, groups: Int) throws {
    let compute = try setting.compute()
    var numbers = Numbers(4)
    for (rows, inputs, outputs) in Self.sizes {
      let x = try numbers.view([2, rows, inputs], compute.activationDType, on: compute)
      let layer = Linear(
        weight: try numbers.tensor([outputs, inputs], compute.weightDType, on: compute),
        bias: try numbers.tensor([outputs], on: compute))
      let residual = try numbers.view([2, rows, outputs], on: compute)
      let gate = groups == 0 ? nil : try numbers.view([groups, outputs], on: compute)
      let (before, g) = (residual.doubles, gate?.doubles)
      let expected = Reference.linear(x, layer).enumerated().map { index, y in
        let group = groups == 2 ? index / (rows * outputs) : 0
        return before[index] + y * (g?[group * outputs + index % outputs] ?? 1)
      }
      try compute.linear(x, layer, addingTo: residual, gate: gate)
      #expect(relativeError(residual, expected) < setting.tolerance)
    }
  }

  /// Weights that are read often are kept packed where bf16 is multiplied as such; sizes that do not fill
  /// whole blocks are read as they lie.
  @Test(arguments: Setting.all) func packedWeights(_ setting: Setting) throws {
    let compute = try setting.compute()
    let packs = compute.activationDType == .bf16 && CPULevel.inUse.hasBF16
    var numbers = Numbers(9)
    for (rows, inputs, outputs) in [
      (1, 32, 64), (17, 96, 192), (75, 160, 64), (150, 64, 128), (9, 48, 64), (9, 64, 96),
    ] {
      let x = try numbers.view([2, rows, inputs], compute.activationDType, on: compute)
      let weight = try numbers.tensor([outputs, inputs], compute.weightDType, on: compute)
      let bias = try numbers.tensor([outputs], on: compute)
      let layer = Linear(weight: weight, bias: bias, isReadOften: true)
      let expected = Reference.linear(x, layer)
      for activation in [Activation.none, .gelu] {
        let y = try compute.linear(x, layer, activation: activation)
        let error = relativeError(y, expected.map { Reference.activate($0, activation) })
        #expect(error < setting.tolerance, "\(rows)×\(inputs)→\(outputs) \(activation)")
      }
      let residual = try numbers.view([2, rows, outputs], on: compute)
      let gate = try numbers.tensor([1, outputs], on: compute)
      let (before, g) = (residual.doubles, gate.doubles)
      try compute.linear(x, layer, addingTo: residual, gate: gate)
      let sums = expected.enumerated().map { before[$0] + $1 * g[$0 % outputs] }
      #expect(relativeError(residual, sums) < setting.tolerance, "\(rows)×\(inputs)→\(outputs)")
      let isWhole = inputs % 32 == 0 && outputs % 64 == 0
      let bytes = packs && isWhole ? 2 * inputs * outputs : 0
      #expect(compute.packedBytes == bytes, "\(inputs)→\(outputs)")
      if isWhole {
        let most = Linear.packedBytes(inputs: Double(inputs), outputs: Double(outputs))
        #expect(most == Double(2 * inputs * outputs))
      }
      withExtendedLifetime(layer) {}
    }
    // They went with their layers.
    #expect(compute.packedBytes == 0)
  }

  /// (batch, queries, keys, heads, head width): several chunks of queries, several blocks of keys, and
  /// both.
  static let attentions = [
    (1, 1, 1, 1, 3), (2, 17, 33, 3, 8), (3, 40, 5, 2, 32), (2, 19, 70, 2, 72), (1, 63, 2100, 1, 3),
    (1, 130, 1030, 1, 2), (1, 515, 3, 1, 5),
  ]

  @Test(arguments: Setting.all) func attention(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(5)
    for (batch, queries, keys, heads, headWidth) in Self.attentions {
      let width = heads * headWidth
      let type = compute.activationDType
      let query = try numbers.view([batch, queries, width], type, on: compute)
      for keyBatch in Set([1, batch]) {
        let words = try numbers.view([keyBatch, keys, 2 * width], type, on: compute)
        let (key, value) = (words.columns(0..<width), words.columns(width..<2 * width))
        let mask = try numbers.tensor([batch, keys], on: compute)
        let bias = try numbers.tensor([heads, queries, keys], on: compute)
        for given in [
          nil, AttentionBias.perKey(mask), .perHead(bias, mask: mask),
          .perHead(bias, mask: mask.rows(0..<1)), .perHead(bias, mask: nil),
        ] {
          let parts = try compute.biasParts(
            given, batch: batch, heads: heads, queries: queries, keys: keys)
          let y = try compute.attention(
            query: query, key: key, value: value, heads: heads, scale: 0.3, bias: given)
          let expected = Reference.attention(
            query, key, value, heads: heads, scale: Double(Float(0.3)),
            bias: parts.perHead?.doubles, mask: parts.mask)
          #expect(y.shape == query.shape)
          // Averages over many keys nearly cancel, which magnifies roundings relative to the rest.
          let tolerance = setting.tolerance * (keys > 1000 ? 10 : 1)
          #expect(relativeError(y, expected) < tolerance, "\(queries)×\(keys)")
        }
      }
    }
  }

  /// A masked key has no influence at all, however large its value.
  @Test(arguments: Setting.all) func maskedKeysVanish(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(6)
    let query = try numbers.tensor([1, 3, 8], on: compute)
    let key = try numbers.tensor([1, 4, 8], on: compute)
    var values = numbers.floats(4 * 8)
    let mask = try Tensor([Float](arrayLiteral: 0, 0, -10000, -.infinity), [1, 4])
    func attend() throws -> [Float] {
      try compute.attention(
        query: query, key: key, value: try Tensor(values, [1, 4, 8]), heads: 2, scale: 1,
        bias: .perKey(mask)
      ).floats()
    }
    let first = try attend()
    for index in 16..<32 { values[index] *= 1e6 }
    #expect(try attend() == first)
  }

  @Test(arguments: Setting.all) func convolution(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(7)
    for (batch, height, width, inputs, outputs, kernel, stride, padding) in [
      (2, 5, 7, 4, 3, 3, 1, 1), (1, 9, 6, 16, 32, 3, 1, 1), (2, 8, 8, 17, 20, 1, 1, 0),
      (1, 11, 10, 32, 16, 3, 2, 1), (1, 6, 16, 64, 3, 3, 1, 1),
    ] {
      let x = try numbers.tensor(
        [batch, height, width, inputs], compute.activationDType, on: compute)
      let weight = try numbers.tensor(
        [outputs, inputs, kernel, kernel], compute.weightDType, on: compute)
      let layer = Convolution(
        weight: weight, bias: try numbers.tensor([outputs], on: compute), stride: stride,
        padding: padding)
      let expected = Reference.convolution(x, layer)
      let y = try compute.convolution(x, layer)
      #expect(relativeError(y, expected) < setting.tolerance, "\(inputs)→\(outputs)")
      let residual = try numbers.tensor(y.shape, on: compute)
      let sum = zip(residual.doubles, expected).map { $0 + $1 }
      try compute.convolution(x, layer, addingTo: residual)
      #expect(relativeError(residual, sum) < setting.tolerance, "\(inputs)→\(outputs) added")
    }
  }

  @Test func misfitsAreErrors() throws {
    let compute = try Compute(threads: 1, precision: .f32)
    var numbers = Numbers(8)
    let x = try numbers.tensor([2, 3, 8], on: compute)
    let layer = Linear(weight: try numbers.tensor([5, 7], on: compute), bias: nil)
    #expect(throws: SparseDiTError.self) { try compute.linear(x, layer) }
    #expect(throws: SparseDiTError.self) {
      try compute.attention(query: x, key: x, value: x, heads: 3, scale: 1)
    }
    #expect(throws: SparseDiTError.self) {
      try compute.layerNorm(x, epsilon: 1e-6, scale: try numbers.tensor([3, 8], on: compute))
    }
  }
}
