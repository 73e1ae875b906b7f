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
    let job = try GenerationJob(request.withEveryToken, model: model, info: info)
    let picture = try model.backbone.grid(
      latentHeight: job.latentHeight, latentWidth: job.latentWidth)
    return try TokenTable(asking: density, picture, at: job.sampling.timesteps)
  }
}

extension ModelOutline {
  /// As ``Pipeline/tokenTable(for:_:)``, for a model that is not loaded.
  package func tokenTable(
    for request: GenerationRequest,
    _ density: (_ timestep: Int, _ picture: Grid) throws(SparseDiTError) -> TokenTable.Density
  ) throws(SparseDiTError) -> TokenTable {
    // Grid and timesteps do not depend on what numbers are stored as.
    let plan = try CostBreakdown(
      self, request.withEveryToken, format: NumberFormat(onThisMachine: .f32))
    return try TokenTable(asking: density, plan.grid, at: plan.timesteps)
  }
}

extension GenerationRequest {
  fileprivate var withEveryToken: GenerationRequest {
    var request = self
    request.sparsity = .dense
    request.tokenSchedule = nil
    return request
  }
}

extension TokenTable {
  /// - Parameter timesteps: from noise to data.
  fileprivate init(
    asking density: (_ timestep: Int, _ picture: Grid) throws(SparseDiTError) -> Density,
    _ picture: Grid, at timesteps: [Double]
  ) throws(SparseDiTError) {
    var rows: [Row] = []
    for timestep in timesteps {
      let whole = Int(timestep.rounded(.down))
      // Steps of one whole timestep have one answer.
      guard whole != rows.last?.timestep else { continue }
      rows.append(Row(timestep: whole, density: try density(whole, picture)))
    }
    // No step is below the last one, whose answer may as well hold from 0 on.
    if let last = rows.popLast() { rows.append(Row(timestep: 0, density: last.density)) }
    try self.init(rows.reversed())
  }
}
