import Tensors
import Testing

@testable import SparseDiT

/// The blocks of SparseDiT against plain equations, and the identities that the method promises.
@Suite struct BlockEquationTests {
  // f32 sums of 16 to 64 products against doubles.
  static let tolerance = 2e-6
  static let grid = Grid(height: 3, width: 5)

  /// A backbone's block run on one picture, and the same inputs as doubles.
  struct Setting {
    let backbone: Backbone
    let run: BlockRun
    let modulation: [Double]
    let text: PlainBlock.Tokens
    let x: Tensor

    init(_ random: inout RandomBackbone, _ backbone: Backbone, rate: Double) throws {
      let compute = try Compute(threads: 1, precision: .f32)
      let width = RandomBackbone.width
      let planner = try BackbonePlanner(.rates(min: rate, max: rate), config: backbone.config)
      let features = try Tensor(random.normal(4 * width), [1, 4, width])
      let values = random.normal(6 * width)
      let keys = try backbone.blocks.map { block in
        try compute.linear(features, try #require(block.textAttention?.queryAndKey).key)
      }
      let texts = try backbone.blocks.map {
        try compute.linear(features, try #require($0.textAttention).value)
      }
      self.backbone = backbone
      run = BlockRun(
        compute: compute, config: backbone.config,
        modulations: try (0..<random.depth).map { block in
          let table = random.plainBlock(block).weights["scale_shift_table"] ?? []
          return Modulation(
            try Tensor(zip(values, table).map { $0 + Float($1) }, [1, 6 * width]))
        },
        text: PreparedText(batch: 1, length: 4, keys: keys, values: texts, bias: nil, sizes: []),
        plan: try planner.plan(for: grid, at: 500), positionsAgain: nil)
      modulation = values.map(Double.init)
      text = rows(features)
      x = try Tensor(random.normal(grid.count * width), [1, grid.count, width])
    }

    func dense(after block: any Block) throws -> Tensor {
      var tokens = TokenStreams(dense: x, sparse: x)
      try block.forward(&tokens, run)
      return tokens.dense
    }
  }

  @Test func poolingformerOnOneRowIsAttentionWithTheUniformMap() throws {
    var random = RandomBackbone(depth: 10)
    let setting = try Setting(&random, random.load(), rate: 0.5)
    let before = rows(setting.x)
    let x = try setting.dense(after: Poolingformer(body: setting.backbone.blocks[0]))
    let expected = random.plainBlock(0).forward(
      before, reading: before, uniform: true, modulation: setting.modulation, text: setting.text)
    #expect(error(x, expected) < Self.tolerance)
  }

  @Test func ordinaryBlockFollowsItsEquation() throws {
    var random = RandomBackbone(depth: 10)
    let setting = try Setting(&random, random.load(), rate: 0.5)
    let before = rows(setting.x)
    let x = try setting.dense(
      after: TransformerBlock(body: setting.backbone.blocks[3], stream: \.dense))
    let expected = random.plainBlock(3).forward(
      before, reading: before, modulation: setting.modulation, text: setting.text)
    #expect(error(x, expected) < Self.tolerance)
  }

  /// With M = N, W1 = 0, W2 = identity a module is: generation an ordinary block on a copy, and
  /// recovery the block equation with queries from the tokens that entered and keys from the copy.
  @Test func moduleThatKeepsEveryTokenIsTheBlockEquations() throws {
    var random = RandomBackbone(depth: 10)
    let layout = try #require(BlockLayout.sparse(depth: 10))
    let converted = random.converted(to: layout)
    let backbone = try converted.load(sparsity: ["modules": 1])
    let setting = try Setting(&random, backbone, rate: 0)
    #expect(setting.run.plan.sparse == Self.grid)
    let before = rows(setting.x)

    let generation = try #require(layout.roles.firstIndex(of: .generation))
    var tokens = TokenStreams(dense: setting.x, sparse: setting.x)
    try SparseTokenGeneration(body: backbone.blocks[generation]).forward(&tokens, setting.run)
    let expectedSparse = random.plainBlock(generation).forward(
      before, reading: before, modulation: setting.modulation, text: setting.text)
    #expect(error(tokens.sparse, expectedSparse) < Self.tolerance)

    let recovery = try #require(layout.roles.firstIndex(of: .recovery))
    try DenseTokenRecovery(body: backbone.blocks[recovery]).forward(&tokens, setting.run)
    let expected = random.plainBlock(recovery).forward(
      before, reading: expectedSparse, modulation: setting.modulation, text: setting.text)
    #expect(error(tokens.dense, expected) < Self.tolerance)
  }

  @Test(arguments: [10, 13, 16], [RandomBackbone.Kind.text, .classes])
  func denseCheckpointRunsSparseAsItsConversionWould(
    _ depth: Int, _ kind: RandomBackbone.Kind
  ) throws {
    var random = RandomBackbone(depth: depth, kind: kind)
    let layout = try #require(BlockLayout.sparse(depth: depth))
    let dense = try random.load()
    let sparse = try random.converted(to: layout).load(sparsity: [
      "modules": layout.modules, "top": layout.top,
    ])
    let compute = try Compute(threads: 1, precision: .f32)
    let latents = try Tensor(random.normal(2 * 4 * 10 * 14), [2, 4, 10, 14])
    let embedding = try Tensor(random.normal(2 * 3 * 12), [2, 3, 12])
    let outputs = try [dense, sparse].map { backbone in
      let planner = try BackbonePlanner(.rates(min: 0.3, max: 0.8), config: backbone.config)
      let plan = try planner.plan(for: Grid(height: 5, width: 7), at: 700)
      #expect(plan.sparse.count < plan.dense.count)
      let condition: Condition<PreparedText, [Int]> =
        switch kind {
        case .text:
          .text(try backbone.prepareText(embedding, mask: [1, 1, 0, 1, 1, 1], on: compute))
        case .classes: .classes([2, RandomBackbone.classes])
        }
      return try backbone.forward(
        latents, timestep: 700, condition, plan: plan, on: compute
      ).floats()
    }
    #expect(outputs[0] == outputs[1])
    #expect(outputs[0].allSatisfy { $0.isFinite })
  }

  @Test func hiddenTextIsDroppedWithoutATrace() throws {
    var random = RandomBackbone(depth: 2)
    let backbone = try random.load()
    let compute = try Compute(threads: 1, precision: .f32)
    let latents = try Tensor(random.normal(2 * 4 * 4 * 6), [2, 4, 4, 6])
    let planner = try BackbonePlanner(.model, config: backbone.config)
    let plan = try planner.plan(for: Grid(height: 2, width: 3), at: 10)
    let values = random.normal(2 * 5 * 12)
    func output(_ values: [Float], _ mask: [Float], length: Int) throws -> [Float] {
      let text = try backbone.prepareText(
        Tensor(values, [2, length, 12]), mask: mask, on: compute)
      return try backbone.forward(
        latents, timestep: 10, .text(text), plan: plan, on: compute
      ).floats()
    }
    let full = try output(values, [1, 0, 1, 0, 0, 1, 1, 0, 0, 0], length: 5)
    // The same with other values where the mask hides them.
    var others = values
    for token in [1, 3, 4, 7, 8, 9] {
      for channel in 0..<12 { others[token * 12 + channel] = 7 }
    }
    #expect(try output(others, [1, 0, 1, 0, 0, 1, 1, 0, 0, 0], length: 5) == full)
    let short = [Float](values[..<36]) + values[60..<96]
    #expect(try output(short, [1, 0, 1, 1, 1, 0], length: 3) == full)
    // A row that hides everything: diffusers' −10000 on every key leaves plain attention.
    let blind = try output(values, [1, 1, 1, 1, 1, 0, 0, 0, 0, 0], length: 5)
    let seeing = try output(values, [Float](repeating: 1, count: 10), length: 5)
    // Adding −10000 costs the scores four digits.
    #expect(relativeError(blind, seeing) < 1e-2)
    #expect(relativeError(full, seeing) > 1e-4)
  }
}

private func rows(_ tensor: Tensor) -> PlainBlock.Tokens {
  let width = tensor.shape.columns
  let values = tensor.floats().map(Double.init)
  return (0..<tensor.shape.rows).map { Array(values[$0 * width..<($0 + 1) * width]) }
}

private func error(_ actual: Tensor, _ expected: PlainBlock.Tokens) -> Double {
  relativeError(actual.floats(), expected.flatMap { $0 }.map(Float.init))
}

private let grid = BlockEquationTests.grid
