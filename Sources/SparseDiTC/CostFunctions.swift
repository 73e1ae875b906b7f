import CSparseDiT
import SparseDiT
import Tensors

@_cdecl("sparsedit_get_cost")
@implementation
public func sparsedit_get_cost(
  _ pipeline: OpaquePointer!, _ options: UnsafePointer<sparsedit_generate_options>!,
  _ cost: UnsafeMutablePointer<sparsedit_cost>!
) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    _ = try sparsedit_cost.checkedSize(UnsafePointer(cost), named: "cost")
    let answer = try object.cost(of: options)
    var value = sparsedit_cost()
    value.macs_per_forward = answer.multiplyAddsPerForward
    value.macs_denoise = answer.multiplyAdds
    value.weight_bytes = UInt64(clamping: answer.weightBytes)
    value.peak_bytes = UInt64(clamping: answer.peakBytes)
    value.text_encoder = sparsedit_stage_cost(answer.stages.textEncoder)
    value.text = sparsedit_stage_cost(answer.stages.text)
    value.denoise = sparsedit_stage_cost(answer.stages.steps.total)
    value.decode = sparsedit_stage_cost(answer.stages.decoder)
    try sparsedit_cost.write(value, to: cost, named: "cost")
  }
}

@_cdecl("sparsedit_get_step_costs")
@implementation
public func sparsedit_get_step_costs(
  _ pipeline: OpaquePointer!, _ options: UnsafePointer<sparsedit_generate_options>!,
  _ steps: UnsafeMutablePointer<sparsedit_stage_cost>!, _ capacity: Int,
  _ needed: UnsafeMutablePointer<Int>!
) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    let costs = try object.cost(of: options).stages.steps.map(sparsedit_stage_cost.init)
    let steps = try output(
      steps, capacity: capacity, needed: needed, count: costs.count, named: "steps")
    _ = steps.update(fromContentsOf: costs)
  }
}

extension PipelineObject {
  fileprivate func cost(
    of pointer: UnsafePointer<sparsedit_generate_options>?
  ) throws(Failure) -> RequestCost {
    let options = try sparsedit_generate_options.read(
      pointer, named: "options", defaults: .defaults)
    let request = try options.request()
    return try exclusively { () throws(SparseDiTError) in
      try pipeline.cost(of: options.asking(request, of: pipeline))
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
