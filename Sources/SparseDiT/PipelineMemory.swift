import Tensors

extension Pipeline {
  /// - Throws: `outOfMemory` with the numbers when the job would not fit in the memory limit, or in
  ///   what the machine has free.
  func checkMemory(of job: GenerationJob) throws(SparseDiTError) {
    let need = memoryEstimate(of: job)
    let (have, whose) =
      if let limit = options.memoryLimit {
        (limit - model.convertedBytes, "what the model leaves of the memory limit")
      } else {
        (Machine.availableMemory ?? Int.max, "what the machine has free")
      }
    guard need <= have else {
      throw .outOfMemory(
        "a picture of \(job.width)×\(job.height) would take about \(need) bytes of memory;"
          + " \(whose) is \(have) bytes")
    }
  }

  /// Bytes that the job would hold at its worst moment, worked out before anything is allocated:
  /// for the longest prompts, and beside mapped model files, which the system can drop and reread.
  func memoryEstimate(of job: GenerationJob) -> Int {
    let costs = stageCosts(of: job, textTokens: model.conditioning.text?.maxTokens ?? 0)
    // Blocks that one stage used lie ready for the next, so stages add up.
    let stages = [costs.textEncoder, costs.text, costs.steps.total, costs.decoder]
      .reduce(0) { $0 + $1.activationBytes }
    let config = model.backbone.config
    let latents = Double(job.latentHeight) * Double(job.latentWidth)
    // The sampler's copies, and the predictions of both guidance halves.
    let sampling = 8 * Double(job.condition.batch) * latents * Double(config.outChannels)
    let positions = Double(job.plans.first?.dense.count ?? 0) * Double(config.width)
    let pixels = Double(job.width) * Double(job.height) * 3
    return Int(
      clamping: stages + Double(DType.f32.byteCount) * (sampling + positions)
        + Double(job.request.keepsImages ? job.request.count : 1) * pixels)
  }
}
