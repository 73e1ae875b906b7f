import Tensors

/// Bytes that a request holds at its worst moment, worked out before anything is allocated: besides
/// mapped model files, which the system can drop and reread.
struct PeakMemory {
  let bytes: Int

  /// - Parameter work: with the longest prompts that there can be.
  init(
    of request: GenerationRequest, _ model: ModelOutline, _ work: Workload, _ sides: PictureSides,
    format: NumberFormat
  ) {
    let costs = StageCosts(model, work, format: format)
    // Blocks that one stage used lie ready for the next, so stages add up.
    let stages = [costs.textEncoder, costs.textKeysValues, costs.steps.total, costs.decoder]
      .reduce(0) { $0 + $1.activationBytes }
    let latents = Double(work.latentHeight) * Double(work.latentWidth)
    // The sampler's copies, and the predictions of both guidance halves.
    let sampling = 8 * Double(work.batch) * latents * Double(model.backbone.outChannels)
    let packed = ForwardCost(model.backbone, format: format).packedBytes
    let positions = Double(work.plans.first?.dense.count ?? 0) * Double(model.backbone.width)
    // One byte of each channel in the picture, and the numbers that those come from if it is resized.
    let pixels = 3 * Double(sides.width) * Double(sides.height)
    let resized = sides.isResized ? pixels : 0
    bytes = Int(
      clamping: stages + packed + Double(DType.f32.byteCount) * (sampling + positions + resized)
        + Double(request.keepsImages ? request.count : 1) * pixels)
  }
}

extension GenerationPlan {
  /// - Parameters:
  ///   - threads: that compute, each with a block of its own.
  ///   - packed: bytes of weights that earlier requests packed: in the plan, and no longer among what
  ///     the process would have to map.
  ///   - limit: bytes that there are, those included, and what messages call them.
  /// - Throws: `outOfMemory` with the numbers when the plan would not fit there, or in what the
  ///   process may map.
  func checkMemory(
    threads: Int, packed: Int, limit: (bytes: Int, name: String)
  ) throws(SparseDiTError) {
    let (working, overflow) = peakBytes.addingReportingOverflow(threads * Compute.bytesPerThread)
    let (need, overflowed) = working.addingReportingOverflow(ProcessMemory.reserve)
    guard need <= limit.bytes, !overflow, !overflowed else {
      throw .outOfMemory(
        "a picture of \(sides.width)×\(sides.height) would take about \(need) bytes of memory;"
          + " \(limit.name) is \(limit.bytes) bytes")
    }
    try ProcessMemory.check(
      max(working - packed, 0), for: "a picture of \(sides.width)×\(sides.height)")
  }
}
