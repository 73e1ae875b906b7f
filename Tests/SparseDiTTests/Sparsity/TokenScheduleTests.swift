import Tensors
import Testing

@testable import SparseDiT

@Suite struct TokenScheduleTests {
  /// The paper's rates and the grid sides that it gives for them.
  @Test(arguments: [
    (16, 0.44, 0.61, 12, 10), (16, 0.61, 0.86, 10, 6), (32, 0.61, 0.86, 20, 12),
    (32, 0.90, 0.96, 10, 6),
  ])
  func givesThePapersGrids(_ side: Int, _ low: Double, _ high: Double, _ most: Int, _ least: Int)
    throws
  {
    let schedule = TokenSchedule(rates: try TokenRates(min: low, max: high))
    let dense = Grid(height: side, width: side)
    func sparse(_ t: Double) -> Grid {
      TokenSchedule.sparseGrid(of: dense, rate: schedule.rate(at: t))
    }
    #expect(sparse(0) == Grid(height: most, width: most))
    #expect(sparse(249.9) == Grid(height: most, width: most))
    #expect(sparse(1000) == Grid(height: least, width: least))
  }

  @Test func linearHasNoJump() throws {
    let schedule = TokenSchedule(rates: try TokenRates(min: 0.61, max: 0.86))
    #expect(schedule.rate(at: 250) == 0.61)
    #expect(abs(schedule.rate(at: 625) - 0.735) < 1e-12)
    #expect(schedule.rate(at: 5000) == schedule.rate(at: 1000))
    #expect(schedule.rate(at: -1) == 0.61)
  }

  @Test(arguments: [
    (0.0, 0), (249.0, 0), (250.0, 1), (499.0, 1), (500.0, 2), (999.0, 3), (1000, 3),
  ])
  func quartersAreSteps(_ t: Double, _ quarter: Int) throws {
    let schedule = TokenSchedule(rates: try TokenRates(min: 0.3, max: 0.9), kind: .quarters)
    #expect(abs(schedule.rate(at: t) - (0.3 + 0.2 * Double(quarter))) < 1e-12)
  }

  @Test func constantIsTheMiddle() throws {
    let schedule = TokenSchedule(rates: try TokenRates(min: 0.3, max: 0.9), kind: .constant)
    #expect([0, 400, 999].allSatisfy { abs(schedule.rate(at: $0) - 0.6) < 1e-12 })
  }

  @Test func followsTheNumberOfTrainingTimesteps() throws {
    let rates = try TokenRates(min: 0.2, max: 0.8)
    let short = TokenSchedule(rates: rates, timesteps: 100)
    let long = TokenSchedule(rates: rates, timesteps: 1000)
    #expect(abs(short.rate(at: 70) - long.rate(at: 700)) < 1e-12)
  }

  @Test func keepsAtLeastOneTokenPerSide() {
    let thin = Grid(height: 1, width: 9)
    #expect(TokenSchedule.sparseGrid(of: thin, rate: 0.99) == Grid(height: 1, width: 1))
    #expect(TokenSchedule.sparseGrid(of: thin, rate: 0) == thin)
    #expect(TokenSchedule.sparseGrid(of: thin, rate: 0.75) == Grid(height: 1, width: 5))
  }

  @Test(arguments: [(-0.1, 0.5), (0.6, 0.5), (0.5, 1.0), (Double.nan, 0.5), (0.5, .nan)])
  func refusesRatesThatMakeNoSense(_ low: Double, _ high: Double) {
    #expect(throws: SparseDiTError.self) { try TokenRates(min: low, max: high) }
  }

  @Test func dividesDenseBackbonesAsThePaperDoes() throws {
    let xl = try #require(BlockLayout.sparse(depth: 28))
    #expect((xl.poolingformer, xl.modules, xl.top) == (2, 4, 2))
    #expect((xl.module.sparse, xl.module.dense) == (3, 1))
    for depth in 10...60 {
      let layout = try #require(BlockLayout.sparse(depth: depth))
      #expect(layout.depth == depth)
      #expect(layout.roles.count == depth)
      #expect(layout.top >= 2)
    }
    #expect((0..<10).allSatisfy { BlockLayout.sparse(depth: $0) == nil })
    #expect(BlockLayout.dense(depth: 5).roles == Array(repeating: .dense, count: 5))
  }
}
