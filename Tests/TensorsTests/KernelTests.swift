import Testing

@testable import Tensors

@Suite struct KernelTests {
  @Test(arguments: Setting.all, [0, 1, 3]) func layerNorm(_ setting: Setting, groups: Int) throws {
    let compute = try setting.compute()
    var numbers = Numbers()
    for (tokens, columns) in [(1, 1), (3, 17), (37, 48), (5, 1152)] {
      let x = try numbers.view([3, tokens, columns], on: compute)
      let scale = groups == 0 ? nil : try numbers.view([groups, columns], on: compute)
      let shift = groups == 0 ? nil : try numbers.view([groups, columns], on: compute)
      let expected = Reference.layerNorm(x, epsilon: 1e-6, scale: scale, shift: shift)
      let y = try compute.layerNorm(x, epsilon: 1e-6, scale: scale, shift: shift)
      #expect(y.dtype == compute.activationDType)
      #expect(relativeError(y, expected) < setting.tolerance, "\(tokens)×\(columns)")

      let mean = try compute.layerNormMean(
        x, epsilon: 1e-6, scale: scale, shift: shift, output: .f32)
      #expect(mean.shape == [3, 1, columns])
      let expectedMean = (0..<3 * columns).map { index in
        let first = index / columns * tokens * columns + index % columns
        return (0..<tokens).reduce(0) { $0 + expected[first + $1 * columns] } / Double(tokens)
      }
      // Norms average to little: the bound is on the terms, not on what is left of them.
      #expect(relativeError(mean, expectedMean) < 1e-4, "mean of \(tokens)×\(columns)")
    }
  }

  @Test(arguments: Setting.all) func rmsNorm(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(2)
    for columns in [1, 3, 33, 256] {
      let x = try numbers.view([2, 5, columns], on: compute)
      let weight = try numbers.tensor([columns], on: compute)
      let (values, w) = (x.doubles, weight.doubles)
      let expected = values.indices.map { index in
        let row = index / columns * columns
        let square = (row..<row + columns).reduce(0) { $0 + values[$1] * values[$1] }
        return values[index] / (square / Double(columns) + 1e-6).squareRoot() * w[index % columns]
      }
      let y = try compute.rmsNorm(x, weight: weight, epsilon: 1e-6)
      #expect(relativeError(y, expected) < setting.tolerance, "\(columns)")
    }
  }

  @Test(arguments: Setting.all) func groupNorm(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(3)
    for (height, width, channels, groups) in [(1, 3, 6, 3), (17, 19, 16, 8), (5, 7, 96, 32)] {
      let x = try numbers.tensor([2, height, width, channels], on: compute)
      // A large common offset: the variance must survive it.
      for index in 0..<x.shape.count { x.f32[index] = x.f32[index] + 30 }
      let weight = try numbers.tensor([channels], on: compute)
      let bias = try numbers.tensor([channels], on: compute)
      for silu in [false, true] {
        let y = try compute.groupNorm(
          x, groups: groups, weight: weight, bias: bias, epsilon: 1e-6, silu: silu)
        let expected = Reference.groupNorm(
          x, groups: groups, weight: weight, bias: bias, epsilon: 1e-6, silu: silu)
        // The offset itself costs f32 log₂(30 / 0.6) ≈ 6 of its 24 bits.
        #expect(relativeError(y, expected) < max(setting.tolerance, 2e-5), "\(channels)/\(groups)")
      }
    }
  }

  @Test(arguments: Setting.all) func grids(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(4)
    for (from, to, columns) in [
      (Grid(height: 16, width: 12), Grid(height: 10, width: 5), 17),
      (Grid(height: 5, width: 7), Grid(height: 1, width: 7), 3),
      (Grid(height: 3, width: 3), Grid(height: 3, width: 3), 32),
    ] {
      let cells = Reference.cells(from, to)
      let x = try numbers.tensor([2, from.count, columns], on: compute)
      let values = x.doubles
      let pooled = try compute.adaptiveAveragePool(x, from: from, to: to)
      let expected = (0..<2 * to.count * columns).map { index in
        let (entry, cell) = (index / columns / to.count, index / columns % to.count)
        let sum = cells[cell].reduce(0) {
          $0 + values[(entry * from.count + $1) * columns + index % columns]
        }
        return sum / Double(cells[cell].count)
      }
      #expect(pooled.dtype == .f32 && relativeError(pooled, expected) < 1e-6)

      let fine = try compute.nearestUpsample(pooled, from: to, to: from)
      let coarse = pooled.floats()
      let repeated = (0..<2 * from.count * columns).map { index in
        let (entry, token) = (index / columns / from.count, index / columns % from.count)
        let row = token / from.width * to.height / from.height
        let column = token % from.width * to.width / from.width
        return coarse[(entry * to.count + row * to.width + column) * columns + index % columns]
      }
      #expect(fine.floats() == repeated)
    }
  }

  @Test(arguments: Setting.all) func elementwise(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(5)
    for columns in [1, 3, 17, 64] {
      let a = try numbers.view([2, 3, columns], on: compute)
      let b = try numbers.tensor([2, 3, columns], .bf16, on: compute)
      let (x, y) = (a.floats(), b.floats())
      #expect(try compute.add(a, b).floats() == zip(x, y).map { $0 + $1 })
      #expect(try compute.scaled(a, by: 0.3).floats() == x.map { $0 * 0.3 })
      let expected = x.map { Reference.activate(Double($0), .silu) }
      #expect(relativeError(try compute.silu(a), expected) < 1e-6)
      try compute.multiply(a, by: b)
      #expect(a.floats() == zip(x, y).map { $0 * $1 })
      try compute.add(b, to: a)
      #expect(relativeError(a, zip(x, y).map { Double($0 * $1 + $1) }) < 1e-6)
      let both = try compute.concatenate([a, a.rows(1..<2)])
      #expect(both.shape == [3, 3, columns])
      #expect(both.floats() == a.floats() + a.rows(1..<2).floats())
    }
  }

  @Test(arguments: Setting.all) func extremesOfSiLU(_ setting: Setting) throws {
    let compute = try setting.compute()
    let y = try compute.silu(try Tensor([-1000, -88, 0, 88, 1000, .nan, .infinity], [7])).floats()
    #expect(y[0] == 0 && abs(y[1]) < 1e-30 && y[2] == 0 && y[3] == 88 && y[4] == 1000)
    #expect(y[5].isNaN && y[6] == .infinity)
  }

  @Test(arguments: Setting.all) func conversions(_ setting: Setting) throws {
    let compute = try setting.compute()
    // Ties round to even; overflow, infinities and NaN stay what they are.
    let values: [Float] = [
      1, 1 + 0x1p-8, 1 + 0x3p-8, -1 - 0x1p-8 - 0x1p-20, 0, -0.0, .infinity, -.infinity, .nan,
      3.4e38, 1e-40, 65504, 1e-7, 0.1, -2.5, 7, 8.25,
    ]
    let x = try Tensor(values, [1, 17])
    let expected: [Float] = values.map { value in
      guard !value.isNaN else { return value }
      let bits = value.bitPattern
      return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
    }
    let bf16 = try compute.cast(x, to: .bf16)
    #expect(bf16.floats().map(\.description) == expected.map(\.description))
    #expect(
      try compute.cast(bf16, to: .f32).floats().map(\.description)
        == bf16.floats().map(\.description))
    let f16 = try compute.cast(x, to: .f16)
    #expect(f16.floats().map(\.description) == values.map { Float(Float16($0)).description })
    #expect(
      try compute.cast(f16, to: .f32).floats().map(\.description) == f16.floats().map(\.description)
    )
  }

  @Test(arguments: Setting.all) func broadcast(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(6)
    let (tokens, columns) = (5, 19)
    for row: Shape in [[2, 1, columns], [1, 1, columns], [tokens, columns]] {
      for groups in [0, 1, 2] {
        let x = try numbers.tensor([2, tokens, columns], on: compute)
        let added = try numbers.view(row, on: compute)
        let gate = groups == 0 ? nil : try numbers.view([groups, columns], on: compute)
        let (before, r, g) = (x.doubles, added.doubles, gate?.doubles)
        let expected = before.indices.map { index in
          let (entry, token) = (index / columns / tokens, index / columns % tokens)
          let source = row.rank == 2 ? token : row[0] == 1 ? 0 : entry
          let factor = g?[(groups == 1 ? 0 : entry) * columns + index % columns] ?? 1
          return before[index] + r[source * columns + index % columns] * factor
        }
        try compute.broadcastAdd(x, added, gate: gate)
        #expect(relativeError(x, expected) < 1e-6, "\(row), \(groups) gates")
      }
    }
  }

  @Test(arguments: Setting.all) func gather(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(7)
    for dtype in [DType.f32, .bf16, .f16] {
      let table = try numbers.tensor([7, 19], dtype, on: compute)
      let rows = try compute.gatherRows(table, try Tensor([Int32(6), 0, 3, 3], [2, 2]))
      #expect(rows.shape == [2, 2, 19] && rows.dtype == .f32)
      #expect(rows.floats() == [6, 0, 3, 3].flatMap { table.rows($0..<$0 + 1).floats() })
      for id: Int32 in [-1, 7] {
        #expect(throws: SparseDiTError.self) {
          try compute.gatherRows(table, try Tensor([id], [1]))
        }
      }
    }
  }

  @Test(arguments: Setting.all) func patches(_ setting: Setting) throws {
    let compute = try setting.compute()
    var numbers = Numbers(8)
    let (patch, channels) = (2, 3)
    let (height, width) = (6, 10)
    let x = try numbers.tensor([2, channels, height, width], on: compute)
    let rows = try compute.patchify(x, patch: patch, output: .f32).floats()
    let tokens = try numbers.tensor(
      [2, height / 2 * (width / 2), patch * patch * channels], compute.activationDType, on: compute)
    let grid = Grid(height: height / 2, width: width / 2)
    let image = try compute.unpatchify(tokens, grid: grid, patch: patch)
    #expect(image.shape == x.shape)
    let (pixels, values, drawn) = (x.floats(), tokens.floats(), image.floats())
    for index in 0..<x.shape.count {
      let (column, row) = (index % width, index / width % height)
      let (channel, entry) = (index / width / height % channels, index / width / height / channels)
      let token = entry * grid.count + row / patch * grid.width + column / patch
      let (i, j) = (row % patch, column % patch)
      #expect(rows[token * 12 + (channel * patch + i) * patch + j] == pixels[index])
      #expect(drawn[index] == values[token * 12 + (i * patch + j) * channels + channel])
    }
    let last = try compute.channelsLast(x)
    #expect(last.shape == [2, height, width, channels] && last.dtype == compute.activationDType)
    let back = try compute.channelsFirst(last)
    #expect(back.floats() == (try compute.cast(x, to: last.dtype)).floats())
    let large = try compute.upsampleNearest2x(last)
    #expect(large.shape == [2, 2 * height, 2 * width, channels])
    let (small, big) = (last.floats(), large.floats())
    for index in big.indices {
      let pixel = index / channels
      let (row, column) = (pixel / (2 * width) % (2 * height), pixel % (2 * width))
      let entry = pixel / (4 * width * height)
      let source = (entry * height + row / 2) * width + column / 2
      #expect(big[index] == small[source * channels + index % channels])
    }
  }

  @Test(arguments: Setting.all) func finite(_ setting: Setting) throws {
    let compute = try setting.compute()
    var values = [Float](repeating: .greatestFiniteMagnitude, count: 3 * 19)
    #expect(compute.isFinite(try Tensor(values, [3, 19])))
    for bad in [Float.nan, .infinity, -.infinity] {
      for index in [0, 18, 56] {
        values[index] = bad
        let x = try Tensor(values, [3, 19])
        #expect(!compute.isFinite(x))
        #expect(!compute.isFinite(try compute.cast(x, to: .bf16)))
        values[index] = 0
      }
    }
  }
}
