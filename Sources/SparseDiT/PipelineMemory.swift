import Tensors

extension Pipeline {
  /// - Returns: the estimate of ``memoryEstimate(of:)``.
  /// - Throws: `outOfMemory` with the numbers when the job would not fit in the memory limit, in
  ///   what the machine has free, or in what the process may map.
  func checkMemory(of job: GenerationJob) throws(SparseDiTError) -> Int {
    let tensors = memoryEstimate(of: job)
    let (working, overflow) = tensors.addingReportingOverflow(threads * Compute.bytesPerThread)
    let (need, overflowed) = working.addingReportingOverflow(ProcessMemory.reserve)
    // Weights that earlier requests packed are in the estimate, and no longer among what is free.
    let packed = packedBytes
    let (have, whose) =
      if let limit = options.memoryLimit {
        (limit - model.convertedBytes, "what the model leaves of the memory limit")
      } else {
        (
          Machine.availableMemory.map { $0 + packed } ?? Int.max,
          "what the machine has free"
        )
      }
    guard need <= have, !overflow, !overflowed else {
      throw .outOfMemory(
        "a picture of \(job.width)×\(job.height) would take about \(need) bytes of memory;"
          + " \(whose) is \(have) bytes")
    }
    try ProcessMemory.check(
      max(working - packed, 0), for: "a picture of \(job.width)×\(job.height)")
    return tensors
  }

  /// Bytes that the job would hold at its worst moment, see ``ModelSizes/peakBytes(of:_:format:)``.
  func memoryEstimate(of job: GenerationJob) -> Int {
    model.sizes.peakBytes(
      of: job.request, job.workload(textTokens: promptTokens), format: numberFormat)
  }
}

extension ModelSizes {
  /// Bytes that a request would hold at its worst moment, worked out before anything is allocated:
  /// beside mapped model files, which the system can drop and reread.
  ///
  /// - Parameter work: with the longest prompts that there can be.
  func peakBytes(of request: GenerationRequest, _ work: Workload, format: NumberFormat) -> Int {
    let costs = StageCosts(self, work, format: format)
    // Blocks that one stage used lie ready for the next, so stages add up.
    let stages = [costs.textEncoder, costs.text, costs.steps.total, costs.decoder]
      .reduce(0) { $0 + $1.activationBytes }
    let latents = Double(work.latentHeight) * Double(work.latentWidth)
    // The sampler's copies, and the predictions of both guidance halves.
    let sampling = 8 * Double(work.batch) * latents * Double(backbone.outChannels)
    let packed = ForwardCost(backbone, format: format).packedBytes
    let positions = Double(work.plans.first?.dense.count ?? 0) * Double(backbone.width)
    let pixels = latents * Double(latentScale * latentScale) * 3
    return Int(
      clamping: stages + packed + Double(DType.f32.byteCount) * (sampling + positions)
        + Double(request.keepsImages ? request.count : 1) * pixels)
  }
}
