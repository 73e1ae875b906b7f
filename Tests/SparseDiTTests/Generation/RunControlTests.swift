import Foundation
import Synchronization
import Tensors
import Testing

@testable import SparseDiT

/// Progress, previews, cancellation, and one call at a time.
@Suite struct RunControlTests {
  static func pipeline(log: (@Sendable (String) -> Void)? = nil) throws -> Pipeline {
    try Pipeline(
      model: ModelFolder(directory: GoldenData.root.appending(path: "pixart-velocity").path),
      options: PipelineOptions(precision: .f32, threads: 1, log: log))
  }

  let request = GenerationRequest(
    prompt: "a cat", width: 64, height: 96, steps: 3, seed: 3, count: 2)

  @Test func tellsEachStepAndPreviewOnTheCallersThread() throws {
    let pipeline = try Self.pipeline()
    let steps = Mutex<[StepProgress]>([])
    let previews = Mutex<[(Int, RGBImage)]>([])
    let finished = Mutex<[(Int, GenerationResult)]>([])
    let caller = pthread_self()
    let result = try pipeline.generate(
      request,
      control: RunControl(
        onStep: { progress in
          #expect(pthread_equal(caller, pthread_self()) != 0)
          steps.withLock { $0.append(progress) }
          return true
        },
        onPreview: { image, progress in
          #expect(pthread_equal(caller, pthread_self()) != 0)
          // After the step that it shows.
          #expect(steps.withLock { $0.last } == progress)
          previews.withLock { $0.append((progress.step, image)) }
        },
        onImage: { result, index in
          #expect(pthread_equal(caller, pthread_self()) != 0)
          #expect(result.images.count == 1)
          finished.withLock { $0.append((index, result)) }
          return true
        }))
    let told = steps.withLock { $0 }
    #expect(told.map(\.image) == [0, 0, 0, 1, 1, 1])
    #expect(told.map(\.step) == [1, 2, 3, 1, 2, 3])
    #expect(told.allSatisfy { $0.steps == 3 && $0.images == 2 && $0.secondsLeft >= 0 })
    #expect(zip(told, told.dropFirst()).allSatisfy { $0.seconds <= $1.seconds })
    #expect(told.allSatisfy { $0.tokens == $0.denseTokens })
    let shown = previews.withLock { $0 }
    #expect(shown.map(\.0) == [1, 2, 3, 1, 2, 3])
    #expect(shown.allSatisfy { $0.1.width == 8 && $0.1.height == 12 })
    #expect(finished.withLock { $0.map(\.0) } == [0, 1])
    let alone = finished.withLock { $0.map(\.1) }
    #expect(alone.flatMap(\.images) == result.images)
    #expect(alone.flatMap(\.seeds) == result.seeds)
    // The prompt is encoded for the first picture and not again.
    #expect(alone[0].report.seconds.text > 0 && alone[1].report.seconds.text == 0)
    #expect(alone.allSatisfy { $0.report.seconds.denoise > 0 && $0.report.seconds.decode > 0 })
    #expect(alone.map(\.report.seconds.total).reduce(0, +) <= result.report.seconds.total)
    #expect(result.report.tokens.count == 3)
  }

  @Test func ofManyPicturesNoneNeedsToBeKept() throws {
    let pipeline = try Self.pipeline()
    var request = request
    request.keepsImages = false
    let seeds = Mutex<[UInt64]>([])
    let control = RunControl(onImage: { result, index in
      seeds.withLock { $0 += result.seeds }
      return index < 2
    })
    let result = try pipeline.generate(request, control: control)
    #expect(result.images.isEmpty && result.seeds == seeds.withLock { $0 })
    request.count = 3
    #expect(throws: SparseDiTError.cancelled) { try pipeline.generate(request, control: control) }
    #expect(seeds.withLock { $0.count } == 2 + 3)
  }

  @Test func cancelsAndLeavesNoTrace() throws {
    let pipeline = try Self.pipeline()
    let control = RunControl(onStep: { $0.step < 2 })
    #expect(throws: SparseDiTError.cancelled) { try pipeline.generate(request, control: control) }
    let cancelled = RunControl()
    cancelled.cancel()
    #expect(throws: SparseDiTError.cancelled) {
      try pipeline.generate(request, control: cancelled)
    }
    #expect(cancelled.isCancelled)
    let after = try pipeline.generate(request)
    let fresh = try Self.pipeline().generate(request)
    #expect(after.images == fresh.images)
    // Image 1 is image 0 of the next seed.
    var next = request
    next.seed += 1
    next.count = 1
    #expect(try pipeline.generate(next).images[0] == fresh.images[1])
  }

  /// Every part checks for cancelling between its layers: a cancel at a check stops it there.
  @Test func cancelsWithinOneBlockOfEachPart() throws {
    let pipeline = try Self.pipeline()
    try pipeline.exclusively { (model, compute) throws(SparseDiTError) in
      func questions(
        _ work: (() throws(SparseDiTError) -> Void) throws(SparseDiTError) -> Void
      ) throws(SparseDiTError) -> Int {
        var count = 0
        try work { () throws(SparseDiTError) in count += 1 }
        var asked = 0
        #expect(throws: SparseDiTError.cancelled) {
          try work { () throws(SparseDiTError) in
            asked += 1
            if asked == count { throw .cancelled }
          }
        }
        #expect(asked == count)
        return count
      }
      guard let encoder = model.condition.text?.encoder else {
        throw .internalFailure("a model without text encoder")
      }
      let layers = try questions { (check) throws(SparseDiTError) in
        _ = try encoder.encode(
          ids: [1], mask: [1], batch: 1, length: 1, on: compute, checkCancelled: check)
      }
      #expect(layers == encoder.layers.count)
      let decoder = model.autoencoder
      let latents = try Tensor([Float](repeating: 0.5, count: 64), [1, 4, 4, 4])
      let decoderLayers = try questions { (check) throws(SparseDiTError) in
        _ = try decoder.decode(latents, on: compute, checkCancelled: check)
      }
      #expect(decoderLayers > decoder.levels.count)
      let backbone = model.backbone
      let text = try backbone.prepareText(
        compute.empty([1, 1, backbone.config.textChannels], .f32), mask: [1], on: compute)
      let plan = try BackbonePlanner(.model, config: backbone.config)
        .plan(for: Grid(height: 1, width: 1), at: 0)
      let blocks = try questions { (check) throws(SparseDiTError) in
        _ = try backbone.forward(
          latents, timestep: 0, .text(text), plan: plan, on: compute, checkCancelled: check)
      }
      #expect(blocks == backbone.blocks.count)
    }
  }

  @Test func refusesASecondCallWhileOneRuns() throws {
    let pipeline = try Self.pipeline()
    let request = request
    let errors = Mutex<[SparseDiTError]>([])
    let control = RunControl(onStep: { _ in
      let thread = Thread {
        do throws(SparseDiTError) {
          _ = try pipeline.generate(request)
        } catch {
          errors.withLock { $0.append(error) }
        }
      }
      thread.start()
      while !thread.isFinished { usleep(1000) }
      return true
    })
    _ = try pipeline.generate(request, control: control)
    let seen = errors.withLock { $0 }
    #expect(seen.count == 6)
    for error in seen {
      guard case .busy = error else {
        Issue.record("\(error)")
        continue
      }
    }
  }

  @Test(arguments: [
    ("text_encoder/model.safetensors", "encoder.block.0.layer.0.SelfAttention.v.weight"),
    ("transformer/diffusion_pytorch_model.safetensors", "transformer_blocks.0.ff.net.2.bias"),
    ("vae/diffusion_pytorch_model.safetensors", "decoder.conv_out.weight"),
  ])
  func namesWeightsThatAreNotNumbers(_ file: String, _ tensor: String) throws {
    for value in [Float.nan, .infinity] {
      var model = try MemoryModel(golden: "pixart-velocity")
      try model.poke(file, tensor, index: 1, value)
      let pipeline = try Pipeline(
        model: model.folder(), options: PipelineOptions(precision: .f32, threads: 1))
      let error = #expect(throws: SparseDiTError.self) { try pipeline.generate(request) }
      guard case .invalidData(let message) = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
      #expect(message.contains(tensor) && message.contains(file), "\(message)")
    }
  }
}
