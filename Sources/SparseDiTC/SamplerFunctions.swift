import CSparseDiT
import SparseDiT
import Synchronization
import Tensors

/// What a `sparsedit_sampler` stands for.
final class SamplerObject: HostObject, @unchecked Sendable {
  // Unchecked: `run` is only touched by the call that holds `isBusy`.
  static let mark: UInt64 = 0xD17A_5BA5_E0F1_9E03

  let message = LastMessage()
  let timesteps: [Double]
  private var run: any SamplingRun
  private let isBusy = Atomic(false)

  init(_ run: any SamplingRun) {
    self.run = run
    timesteps = run.plan.timesteps
  }

  func step(
    _ modelOutput: UnsafeBufferPointer<Float>, _ sample: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    guard !isBusy.exchange(true, ordering: .acquiring) else {
      throw Failure(.busy("another call on this sampler is running"))
    }
    defer { isBusy.store(false, ordering: .releasing) }
    try engine { () throws(SparseDiTError) in
      try run.step(modelOutput: modelOutput, sample: sample)
    }
  }
}

@_cdecl("sparsedit_sampler_create")
@implementation
public func sparsedit_sampler_create(
  _ pipeline: OpaquePointer!, _ steps: Int32, _ sampler: UnsafeMutablePointer<OpaquePointer?>!
) -> sparsedit_status {
  sampler?.pointee = nil
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    guard let sampler else { throw .argument("sampler is NULL") }
    let steps =
      steps == 0
      ? GenerationRequest().steps
      : try checked(steps, in: 1...object.pipeline.info.maxSteps, named: "steps")
    let run = try object.exclusively { () throws(SparseDiTError) in
      try object.pipeline.stages.startSampling(steps: steps)
    }
    // Refused rather than drawn wrongly: the interface has no function that scales a sample yet.
    guard run.plan.initialNoiseScale == 1 else {
      throw Failure(
        .unsupported(
          "this model's sampler scales its noise by \(run.plan.initialNoiseScale); only those that"
            + " do not can be stepped by hand"))
    }
    sampler.pointee = SamplerObject(run).makeHandle()
  }
}

@_cdecl("sparsedit_sampler_steps")
@implementation
public func sparsedit_sampler_steps(_ sampler: OpaquePointer!) -> Int32 {
  Int32(clamping: SamplerObject.object(of: sampler)?.timesteps.count ?? 0)
}

@_cdecl("sparsedit_sampler_timestep")
@implementation
public func sparsedit_sampler_timestep(_ sampler: OpaquePointer!, _ index: Int32) -> Double {
  guard let object = SamplerObject.object(of: sampler),
    object.timesteps.indices.contains(Int(index))
  else { return -1 }
  return object.timesteps[Int(index)]
}

@_cdecl("sparsedit_sampler_step")
@implementation
public func sparsedit_sampler_step(
  _ sampler: OpaquePointer!, _ model_output: UnsafePointer<Float>!,
  _ sample: UnsafeMutablePointer<Float>!, _ count: Int
) -> sparsedit_status {
  guard let object = SamplerObject.object(of: sampler) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    // The arrays are the caller's, so a count that fits in memory is theirs to know; this only
    // keeps the arithmetic safe.
    guard (1...(1 << 30)).contains(count) else {
      throw .argument("count is \(UInt(bitPattern: count)); it must be 1 to \(1 << 30)")
    }
    let modelOutput = try input(model_output, count: count, named: "model_output")
    let sample = try output(
      sample, capacity: count, needed: nil, count: count, named: "sample")
    try object.step(modelOutput, sample)
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
