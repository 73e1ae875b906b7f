import CSparseDiT
import SparseDiT
import Tensors

@_cdecl("sparsedit_pipeline_get_cost")
@implementation
public func sparsedit_pipeline_get_cost(
  _ pipeline: OpaquePointer!, _ options: UnsafePointer<sparsedit_generate_options>!,
  _ cost: UnsafeMutablePointer<sparsedit_cost>!
) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.answer { stages throws(Failure) in
    _ = try sparsedit_cost.checkedSize(UnsafePointer(cost), named: "cost")
    try write(stages.cost(of: options), to: cost)
  }
}

@_cdecl("sparsedit_pipeline_get_step_costs")
@implementation
public func sparsedit_pipeline_get_step_costs(
  _ pipeline: OpaquePointer!, _ options: UnsafePointer<sparsedit_generate_options>!,
  _ steps: UnsafeMutablePointer<sparsedit_stage_cost>!, _ capacity: Int,
  _ needed: UnsafeMutablePointer<Int>!
) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.answer { stages throws(Failure) in
    try write(stages.cost(of: options).stages.steps, to: steps, capacity, needed)
  }
}

@_cdecl("sparsedit_estimate_options_init")
@implementation
public func sparsedit_estimate_options_init(
  _ estimate: UnsafeMutablePointer<sparsedit_estimate_options>!, _ struct_size: Int
) -> sparsedit_status {
  sparsedit_estimate_options.fill(
    estimate, size: struct_size, with: sparsedit_estimate_options())
}

@_cdecl("sparsedit_estimate_cost")
@implementation
public func sparsedit_estimate_cost(
  _ estimate: UnsafePointer<sparsedit_estimate_options>!,
  _ options: UnsafePointer<sparsedit_generate_options>!,
  _ cost: UnsafeMutablePointer<sparsedit_cost>!,
  _ message: UnsafeMutablePointer<CChar>!, _ message_capacity: Int
) -> sparsedit_status {
  answer(to: message, capacity: message_capacity) { () throws(Failure) in
    _ = try sparsedit_cost.checkedSize(UnsafePointer(cost), named: "cost")
    try write(estimatedCost(estimate, options), to: cost)
  }
}

@_cdecl("sparsedit_estimate_step_costs")
@implementation
public func sparsedit_estimate_step_costs(
  _ estimate: UnsafePointer<sparsedit_estimate_options>!,
  _ options: UnsafePointer<sparsedit_generate_options>!,
  _ steps: UnsafeMutablePointer<sparsedit_stage_cost>!, _ capacity: Int,
  _ needed: UnsafeMutablePointer<Int>!,
  _ message: UnsafeMutablePointer<CChar>!, _ message_capacity: Int
) -> sparsedit_status {
  answer(to: message, capacity: message_capacity) { () throws(Failure) in
    try write(estimatedCost(estimate, options).stages.steps, to: steps, capacity, needed)
  }
}

private func estimatedCost(
  _ estimate: UnsafePointer<sparsedit_estimate_options>?,
  _ pointer: UnsafePointer<sparsedit_generate_options>?
) throws(Failure) -> RequestCost {
  var estimated = sparsedit_estimate_options()
  if let estimate {
    estimated = try .read(estimate, named: "estimate", defaults: estimated)
  }
  let options = try sparsedit_generate_options.read(
    pointer, named: "options", defaults: .defaults)
  var request = try options.request()
  let format = NumberFormat(
    onThisMachine: try precision(estimated.precision, named: "estimate->precision"))
  let outline = try estimated.outline(of: request)
  return try engine { () throws(SparseDiTError) in
    if options.steps == 0 { request.steps = try outline.defaultSteps }
    return RequestCost(
      try outline.plan(request, asking: options.tokenDensity, format: format))
  }
}

extension sparsedit_estimate_options {
  fileprivate func outline(of request: GenerationRequest) throws(Failure) -> ModelOutline {
    guard let backbone else {
      let folder = try modelFolder(model_path, named: "estimate->model_path")
      return try engine { () throws(SparseDiTError) in try ModelOutline(folder) }
    }
    guard model_path == nil else {
      throw .argument("estimate->backbone and estimate->model_path exclude each other")
    }
    guard let name = String(validatingCString: backbone) else {
      throw .argument("estimate->backbone is not valid UTF-8")
    }
    return try engine { () throws(SparseDiTError) in
      try ModelOutline(PublishedModel(named: name, isSparse: request.sparsity != .dense))
    }
  }
}

private func write(
  _ answer: RequestCost, to cost: UnsafeMutablePointer<sparsedit_cost>?
) throws(Failure) {
  var value = sparsedit_cost()
  value.macs_per_forward = answer.multiplyAddsPerForward
  value.macs_denoise = answer.multiplyAdds
  value.weight_bytes = UInt64(clamping: answer.weightBytes)
  value.peak_bytes = UInt64(clamping: answer.peakBytes)
  value.text_encoder = sparsedit_stage_cost(answer.stages.textEncoder)
  value.text_keys_values = sparsedit_stage_cost(answer.stages.textKeysValues)
  value.denoise = sparsedit_stage_cost(answer.stages.steps.total)
  value.decode = sparsedit_stage_cost(answer.stages.decoder)
  try sparsedit_cost.write(value, to: cost, named: "cost")
}

private func write(
  _ costs: [Cost], to steps: UnsafeMutablePointer<sparsedit_stage_cost>?, _ capacity: Int,
  _ needed: UnsafeMutablePointer<Int>?
) throws(Failure) {
  let steps = try output(
    steps, capacity: capacity, needed: needed, count: costs.count, named: "steps")
  _ = steps.update(fromContentsOf: costs.map(sparsedit_stage_cost.init))
}

extension PipelineStages {
  fileprivate func cost(
    of pointer: UnsafePointer<sparsedit_generate_options>?
  ) throws(Failure) -> RequestCost {
    let options = try sparsedit_generate_options.read(
      pointer, named: "options", defaults: .defaults)
    let request = try options.request(defaultSteps: info.defaultSteps)
    return try engine { () throws(SparseDiTError) in
      try cost(of: request, asking: options.tokenDensity)
    }
  }
}

extension sparsedit_stage_cost {
  fileprivate init(_ cost: Cost) {
    self.init(
      macs: cost.multiplyAdds, weight_bytes: cost.weightBytes,
      activation_bytes: cost.activationBytes)
  }
}
