import CSparseDiT
import SparseDiT
import Tensors

/// What a `sparsedit_sampler` stands for.
final class SamplerObject: HostObject, @unchecked Sendable {
  // Unchecked: `run` is only touched by the call that `gate` has let in; all else is immutable.
  static let mark: UInt64 = 0xD17A_5BA5_E0F1_9E03

  let message = LastMessage()
  let sampler: any Sampler
  let plan: SamplingPlan
  /// The sampler's name, as a C string that lives as long as the handle.
  let name: HostString
  private var run: any SamplingRun
  private let gate = Gate("sampler")

  init(_ sampler: any Sampler, _ plan: SamplingPlan, _ generator: TorchGenerator) {
    self.sampler = sampler
    self.plan = plan
    run = sampler.start(plan, generator: generator)
    name = HostString(sampler.name)
  }

  /// Makes one call on behalf of the host, which goes on with the run: one at a time, before it looks
  /// at anything.
  func answer(_ call: (inout any SamplingRun) throws(Failure) -> Void) -> sparsedit_status {
    message.answer { () throws(Failure) in
      try engine { () throws(SparseDiTError) in try gate.enter(Cancellation()) }
      defer { gate.leave() }
      try call(&run)
    }
  }
}

/// The number of elements of a caller's array. Only the caller knows whether they exist; this check
/// keeps the arithmetic safe.
private func arrayCount(
  _ count: Int, in range: ClosedRange<Int> = 1...largestSample, named name: String
) throws(Failure) -> Int {
  guard range.contains(count) else {
    throw .argument(
      "\(name) is \(UInt(bitPattern: count)); it must be \(range.lowerBound) to"
        + " \(range.upperBound)")
  }
  return count
}

private let largestSample = 1 << 30

@_cdecl("sparsedit_sampler_options_init")
@implementation
public func sparsedit_sampler_options_init(
  _ options: UnsafeMutablePointer<sparsedit_sampler_options>!, _ struct_size: Int
) -> sparsedit_status {
  sparsedit_sampler_options.fill(options, size: struct_size, with: sparsedit_sampler_options())
}

@_cdecl("sparsedit_sampler_create")
@implementation
public func sparsedit_sampler_create(
  _ pipeline: OpaquePointer!, _ options: UnsafePointer<sparsedit_sampler_options>!,
  _ sampler: UnsafeMutablePointer<OpaquePointer?>!
) -> sparsedit_status {
  sampler?.pointee = nil
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    let made = try object.exclusively { stages throws(Failure) in
      guard sampler != nil else { throw .argument("sampler is NULL") }
      var settings = sparsedit_sampler_options()
      if let options { settings = try .read(options, named: "options", defaults: settings) }
      let kind = try samplerKind(settings.sampler)
      let steps = settings.steps == 0 ? object.pipeline.info.defaultSteps : Int(settings.steps)
      let drawn = try arrayCount(settings.drawn, in: 0...largestSample, named: "options->drawn")
      let made = try engine { () throws(SparseDiTError) in
        try stages.sampler(kind, eta: settings.eta, steps: steps)
      }
      var generator = TorchGenerator(seed: settings.seed)
      if made.sampler.isStochastic { _ = generator.randn(count: drawn) }
      return SamplerObject(made.sampler, made.plan, generator)
    }
    sampler?.pointee = made.makeHandle()
  }
}

/// The engine's form of a `sparsedit_sampler_kind`.
func samplerKind(_ value: Int32) throws(Failure) -> SamplerKind? {
  switch sparsedit_sampler_kind(rawValue: UInt32(bitPattern: value)) {
  case SPARSEDIT_SAMPLER_MODEL: nil
  case SPARSEDIT_SAMPLER_DDPM: .ddpm
  case SPARSEDIT_SAMPLER_DDIM: .ddim
  case SPARSEDIT_SAMPLER_DPMPP_2M: .dpmSolverMultistep
  case SPARSEDIT_SAMPLER_EULER: .euler
  default: throw .argument("options->sampler is \(value), which is no sparsedit_sampler_kind")
  }
}

@_cdecl("sparsedit_sampler_get_info")
@implementation
public func sparsedit_sampler_get_info(
  _ sampler: OpaquePointer!, _ info: UnsafeMutablePointer<sparsedit_sampler_info>!
) -> sparsedit_status {
  guard let object = SamplerObject.object(of: sampler) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    var value = sparsedit_sampler_info()
    value.name = object.name.pointer
    value.steps = Int32(clamping: object.plan.steps)
    value.uses_variance = object.sampler.usesLearnedVariance ? 1 : 0
    value.is_stochastic = object.sampler.isStochastic ? 1 : 0
    value.initial_noise_scale = Double(object.plan.initialNoiseScale)
    try sparsedit_sampler_info.write(value, to: info, named: "info")
  }
}

@_cdecl("sparsedit_sampler_timestep")
@implementation
public func sparsedit_sampler_timestep(_ sampler: OpaquePointer!, _ index: Int32) -> Double {
  guard let object = SamplerObject.object(of: sampler),
    object.plan.timesteps.indices.contains(Int(index))
  else { return -1 }
  return object.plan.timesteps[Int(index)]
}

@_cdecl("sparsedit_sampler_scale_input")
@implementation
public func sparsedit_sampler_scale_input(
  _ sampler: OpaquePointer!, _ sample: UnsafePointer<Float>!,
  _ input: UnsafeMutablePointer<Float>!, _ count: Int
) -> sparsedit_status {
  guard let object = SamplerObject.object(of: sampler) else { return SPARSEDIT_INVALID_HANDLE }
  return object.answer { run throws(Failure) in
    let count = try arrayCount(count, named: "count")
    let sample = try SparseDiTC.input(sample, count: count, named: "sample")
    let input = try output(input, capacity: count, needed: nil, count: count, named: "input")
    run.scaleModelInput(sample, into: input)
  }
}

@_cdecl("sparsedit_sampler_step")
@implementation
public func sparsedit_sampler_step(
  _ sampler: OpaquePointer!, _ model_output: UnsafePointer<Float>!, _ output_count: Int,
  _ sample: UnsafeMutablePointer<Float>!, _ count: Int
) -> sparsedit_status {
  guard let object = SamplerObject.object(of: sampler) else { return SPARSEDIT_INVALID_HANDLE }
  return object.answer { run throws(Failure) in
    let count = try arrayCount(count, named: "count")
    let outputs = try arrayCount(output_count, in: 1...2 * largestSample, named: "output_count")
    let modelOutput = try input(model_output, count: outputs, named: "model_output")
    let sample = try output(
      sample, capacity: count, needed: nil, count: count, named: "sample")
    try engine { () throws(SparseDiTError) in
      try run.step(modelOutput: modelOutput, sample: sample)
    }
  }
}

@_cdecl("sparsedit_sampler_message")
@implementation
public func sparsedit_sampler_message(
  _ sampler: OpaquePointer!, _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int
) -> Int {
  guard let object = SamplerObject.object(of: sampler) else {
    return copyText("", to: buffer, capacity: capacity)
  }
  return object.message.copy(to: buffer, capacity: capacity)
}

@_cdecl("sparsedit_sampler_destroy")
@implementation
public func sparsedit_sampler_destroy(_ sampler: OpaquePointer!) {
  SamplerObject.destroy(handle: sampler)
}
