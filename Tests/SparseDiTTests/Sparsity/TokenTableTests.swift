import Foundation
import Tensors
import Testing

@testable import SparseDiT

@Suite struct TokenTableTests {
  private let picture = Grid(height: 12, width: 20)

  @Test func holdsFromEachTimestepToTheNext() throws {
    let mixed = try table("[[0, 0.44], [250, 10, 6], [500, 0.75]]")
    #expect(mixed.description == "0: 0.44, 250: 10×6, 500: 0.75")
    let pruning = TokenPruning.table(mixed)
    func grid(_ t: Double) throws -> Grid { try pruning.grid(of: picture, at: t) }
    // √(1 − 0.44) = 0.748 of each side, √(1 − 0.75) = 0.5.
    #expect(try [-1, 0, 249.5].allSatisfy { try grid($0) == Grid(height: 9, width: 15) })
    #expect(try [250, 499].allSatisfy { try grid($0) == Grid(height: 10, width: 6) })
    #expect(try [500, 999, 5000].allSatisfy { try grid($0) == Grid(height: 6, width: 10) })
  }

  @Test(arguments: [
    ("[]", "table"), ("[[250, 0.5]]", "begins at timestep 250"), ("[[-5, 0.5]]", "timestep -5"),
    ("[[0, 0.5], [500, 0.6], [250, 0.7]]", "timestep 250 after 500"),
    ("[[0, 0.5], [0, 0.6]]", "timestep 0 after 0"), ("[[0, 1]]", "rate 1.0"),
    ("[[0, 0.5], [10, -0.1]]", "rate -0.1 at timestep 10"), ("[[0, 0, 4]]", "grid 0×4"),
    ("[[0, 4, -1]]", "grid 4×-1"), ("[[0, 4, 1.5]]", "table[0]"), ("[[0.5, 0.5]]", "table[0]"),
    ("[[0, 1e300, 1]]", "table[0]"), ("[[0]]", "table[0]"), ("[[0, 1, 2, 3]]", "table[0]"),
    ("[0, 0.5]", "table[0]"), ("[[0, \"0.5\"]]", "table[0]"), ("3", "table"),
  ])
  func refusesHolesDisorderAndNonsense(_ rows: String, _ word: String) {
    let error = #expect(throws: SparseDiTError.self) { try table(rows) }
    #expect(error?.description.contains(word) == true, "\(error?.description ?? "")")
  }

  @Test func refusesMoreTokensThanThePictureHas() throws {
    for rows in ["[[0, 13, 4]]", "[[0, 4, 21]]"] {
      let planner = try BackbonePlanner(.table(table(rows)), config: sparseConfig())
      let error = #expect(throws: SparseDiTError.self) { try planner.plan(for: picture, at: 3) }
      #expect(error?.description.contains("12×20") == true)
    }
    let all = try BackbonePlanner(.table(table("[[0, 12, 20]]")), config: sparseConfig())
    #expect(try all.plan(for: picture, at: 3).sparse == picture)
  }

  @Test func isReadFromAModelsConfiguration() throws {
    let config = try sparseConfig(#""schedule": "table", "table": [[0, 4, 5], [500, 0.9]]"#)
    let planner = try BackbonePlanner(.model, config: config)
    #expect(try planner.plan(for: picture, at: 499).sparse == Grid(height: 4, width: 5))
    #expect(try planner.plan(for: picture, at: 501).sparse == Grid(height: 4, width: 6))
    #expect(config.sparsity?.rates == nil)
    for sparsity in [
      #""schedule": "table""#, #""table": [[0, 0.5]]"#,
      #""schedule": "table", "table": [[0, 0.5]], "rates": [0.5, 0.6]"#,
      #""schedule": "table", "table": [[1, 0.5]]"#, #""schedule": "tables""#,
    ] {
      #expect(throws: SparseDiTError.self, "\(sparsity)") { try sparseConfig(sparsity) }
    }
  }

  @Test func standsInPlaceOfRatesAndSchedule() throws {
    let config = try sparseConfig(#""schedule": "quarters", "rates": [0.3, 0.9]"#)
    func rate(_ choice: SparsityChoice, _ kind: TokenScheduleKind?, _ t: Double) throws -> Grid {
      try BackbonePlanner(choice, tokenSchedule: kind, config: config).plan(for: picture, at: t)
        .sparse
    }
    func grid(_ rate: Double) -> Grid { TokenSchedule.sparseGrid(of: picture, rate: rate) }
    #expect(try rate(.model, nil, 999) == grid(0.9))
    #expect(try rate(.model, .constant, 999) == grid(0.6))
    #expect(try rate(.rates(min: 0.2, max: 0.4), nil, 260) == grid(0.2 + 0.2 / 3))
    #expect(try rate(.rates(min: 0.2, max: 0.4), .linear, 625) == grid(0.3))
    let half = try table("[[0, 0.5]]")
    #expect(try rate(.table(half), nil, 260) == grid(0.5))
    for choice in [SparsityChoice.dense, .table(half)] {
      let error = #expect(throws: SparseDiTError.self) { try rate(choice, .linear, 0) }
      #expect(error?.description.contains("schedule linear") == true)
    }
    #expect(throws: SparseDiTError.self) {
      try BackbonePlanner(.table(table("[[0, 0.5], [1000, 0.6]]")), config: config)
    }
  }

  @Test func isReadFromAFile() throws {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "table-\(UUID().uuidString).json").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(throws: SparseDiTError.self) { try TokenTable(contentsOf: path) }
    try #"{"table": [[0, 0.25]]}"#.write(toFile: path, atomically: true, encoding: .utf8)
    #expect(try TokenTable(contentsOf: path).rows.map(\.density) == [.rate(0.25)])
    try #"{"table": [[0, 0.25]], "rows": 1}"#.write(
      toFile: path, atomically: true, encoding: .utf8)
    let error = #expect(throws: SparseDiTError.self) { try TokenTable(contentsOf: path) }
    #expect(error?.description.contains("rows") == true)
  }

  @Test func namesThePapersRates() throws {
    #expect(Set(TokenRates.paper.map(\.name)).count == TokenRates.paper.count)
    for row in TokenRates.paper {
      #expect(throws: Never.self) { try TokenRates(min: row.min, max: row.max) }
    }
  }

  private func table(_ rows: String) throws -> TokenTable {
    try TokenTable(schedulerConfig(#"{"table": \#(rows)}"#))
  }

  /// The smallest sparse backbone with this in its `"sparsity"` object.
  private func sparseConfig(_ sparsity: String = "") throws -> BackboneConfig {
    let separator = sparsity.isEmpty ? "" : ", "
    return try BackboneConfig(
      schedulerConfig(
        """
        {"num_attention_heads": 2, "attention_head_dim": 6, "num_layers": 10, "patch_size": 2,
         "in_channels": 4, "sample_size": 8, "cross_attention_dim": 12, "caption_channels": 16,
         "activation_fn": "gelu-approximate", "norm_type": "ada_norm_single",
         "norm_elementwise_affine": false,
         "sparsity": {"modules": 1\(separator)\(sparsity)}}
        """))
  }
}
