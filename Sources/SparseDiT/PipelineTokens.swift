import Tensors

extension Pipeline {
  /// The table of what a function says of each timestep at which a request would denoise, for
  /// ``SparsityChoice/table(_:)``.
  ///
  /// - Parameters:
  ///   - request: what it says of sparsity and schedule does not matter.
  ///   - density: asked once for each whole timestep, from noise to data, with the picture's grid of
  ///     tokens.
  /// - Throws: `invalidArgument` for a request that cannot be drawn or an answer out of range; what
  ///   `density` throws.
  public func tokenTable(
    for request: GenerationRequest,
    _ density: (_ timestep: Int, _ picture: Grid) throws(SparseDiTError) -> TokenTable.Density
  ) throws(SparseDiTError) -> TokenTable {
    var request = request
    request.sparsity = .dense
    request.schedule = nil
    let job = try GenerationJob(request, model: model, info: info)
    var rows: [TokenTable.Row] = []
    for (timestep, plan) in zip(job.sampling.timesteps, job.plans) {
      let whole = Int(timestep.rounded(.down))
      // Steps of one whole timestep have one answer.
      guard whole != rows.last?.timestep else { continue }
      rows.append(TokenTable.Row(timestep: whole, density: try density(whole, plan.dense)))
    }
    // No step is below the last one, whose answer may as well hold from 0 on.
    if let last = rows.popLast() {
      rows.append(TokenTable.Row(timestep: 0, density: last.density))
    }
    return try TokenTable(rows.reversed())
  }
}
