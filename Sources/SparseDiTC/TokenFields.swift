import CSparseDiT
import SparseDiT
import Tensors

/// The fields that say how many tokens the sparse blocks keep, which several structures have.
protocol TokenFields {
  var sparsity: Int32 { get }
  var token_schedule: Int32 { get }
  var rate_min: Double { get }
  var rate_max: Double { get }
  var token_rows: UnsafePointer<sparsedit_token_row>! { get }
  var token_row_count: Int { get }
}

extension sparsedit_generate_options: TokenFields {}
extension sparsedit_denoise_options: TokenFields {}

extension TokenFields {
  /// The engine's form of a `sparsedit_sparsity` with what belongs to it.
  func sparsityChoice() throws(Failure) -> SparsityChoice {
    switch sparsedit_sparsity(rawValue: UInt32(bitPattern: sparsity)) {
    case SPARSEDIT_SPARSITY_MODEL: .model
    case SPARSEDIT_SPARSITY_DENSE: .dense
    case SPARSEDIT_SPARSITY_RATES: .rates(min: rate_min, max: rate_max)
    case SPARSEDIT_SPARSITY_TABLE: .table(try tokenTable())
    default:
      throw .argument("options->sparsity is \(sparsity), which is no sparsedit_sparsity for this")
    }
  }

  /// The engine's form of a `sparsedit_token_schedule`.
  func tokenScheduleKind() throws(Failure) -> TokenScheduleKind? {
    switch sparsedit_token_schedule(rawValue: UInt32(bitPattern: token_schedule)) {
    case SPARSEDIT_TOKEN_SCHEDULE_MODEL: nil
    case SPARSEDIT_TOKEN_SCHEDULE_LINEAR: .linear
    case SPARSEDIT_TOKEN_SCHEDULE_QUARTERS: .quarters
    case SPARSEDIT_TOKEN_SCHEDULE_CONSTANT: .constant
    default:
      throw .argument(
        "options->token_schedule is \(token_schedule), which is no sparsedit_token_schedule")
    }
  }

  private func tokenTable() throws(Failure) -> TokenTable {
    // Rows rise by whole timesteps, so that no more make sense.
    let counts = 1...1_000_000
    guard counts.contains(token_row_count) else {
      throw .argument(
        "options->token_row_count is \(UInt(bitPattern: token_row_count)); it must be"
          + " \(counts.lowerBound) to \(counts.upperBound)")
    }
    let rows = try input(token_rows, count: token_row_count, named: "options->token_rows")
    return try engine { () throws(SparseDiTError) in
      try TokenTable(rows.map { TokenTable.Row(timestep: Int($0.timestep), density: $0.density) })
    }
  }
}

extension sparsedit_token_row {
  /// The grid, or the rate where there is none.
  var density: TokenTable.Density {
    height == 0 && width == 0 ? .rate(rate) : .grid(height: Int(height), width: Int(width))
  }
}

extension sparsedit_generate_options {
  /// The host's function that says how many tokens are kept, where one is to be asked: as a part of
  /// the call, so that it cannot start another one.
  var tokenDensity: TokenDensity? {
    guard asksForTokens, let on_tokens else { return nil }
    return { [on_tokens_user_data] timestep, picture throws(SparseDiTError) in
      var row = sparsedit_token_row()
      row.timestep = Int32(clamping: timestep)
      let answer = on_tokens(
        &row, Int32(clamping: picture.height), Int32(clamping: picture.width), on_tokens_user_data)
      guard answer == 0 else { throw .cancelled }
      return row.density
    }
  }

  /// Whether ``tokenDensity`` says how many tokens are kept.
  var asksForTokens: Bool {
    sparsedit_sparsity(rawValue: UInt32(bitPattern: sparsity)) == SPARSEDIT_SPARSITY_CALLBACK
  }
}
