import Tensors

/// Scratch memory that a job takes at most, worked out before anything is allocated.
///
/// Each stage counts the tensors that its code holds at one time where it holds most; what lies in
/// mapped model files is not counted, since the system can drop and reread it.
struct MemoryEstimate {
  private let job: GenerationJob
  private let model: LoadedModel
  /// Bytes of an element that a matrix product reads.
  private let activation: Int
  /// Whether a weight is expanded to f32 before each product.
  private let expandsWeights: Bool

  init(_ job: GenerationJob, _ model: LoadedModel, precision: Precision, activation: DType) {
    self.job = job
    self.model = model
    self.activation = activation.byteCount
    expandsWeights = precision == .bf16 && activation == .f32
  }

  /// Pictures of a forward: one, or two with guidance.
  private var batch: Int { job.condition.batch }
  private static let f32 = DType.f32.byteCount

  /// Bytes at the worst moment. Blocks that one stage used lie ready for the next, so stages add up.
  var bytes: Int { text + denoise + decode + pictures }

  /// The finished pictures.
  private var pictures: Int { job.request.count * job.width * job.height * 3 }

  /// Longest prompts; one layer's feed-forward, or the attention with its position bias.
  private var text: Int {
    guard let text = model.conditioning.text else { return 0 }
    let config = text.encoder.config
    let length = text.maxTokens
    let tokens = batch * length
    let inner = config.heads * config.headWidth
    let residual = tokens * config.width * Self.f32
    let bias = config.heads * length * length * Self.f32
    let attention = tokens * (config.width + 4 * inner) * activation
    let feedForward = tokens * (config.width + 2 * config.hidden) * activation
    let backbone = model.backbone.config
    let keysAndValues = 2 * backbone.depth * tokens * backbone.width * activation
    return residual + bias + max(attention, feedForward) + keysAndValues
      + expanded(config.hidden * config.width)
  }

  /// One block on dense tokens: x, its norm and four projections of it, or the hidden layer; beside
  /// them the sparse tokens, the position table, and the modulation of all blocks.
  private var denoise: Int {
    let width = model.backbone.config.width
    let dense = job.plans.first?.dense.count ?? 0
    let sparse = job.plans.map(\.sparse.count).max() ?? 0
    let tokens = batch * dense * width
    let block = tokens * Self.f32 + 5 * tokens * activation
    let sparseTokens = 2 * batch * sparse * width * Self.f32
    let modulation = 6 * batch * model.backbone.config.depth * width * Self.f32
    let latents =
      8 * batch * job.latentHeight * job.latentWidth * Self.f32
      * model.backbone.config.outChannels
    return block + tokens * Self.f32 + sparseTokens + dense * width * Self.f32 + modulation
      + latents + expanded((model.backbone.config.label == nil ? 4 : 6) * width * width)
  }

  /// The level of the autoencoder that takes most, see ``DecoderLevel``: an image, its norm, a
  /// hidden image and a result of the level's channels.
  private var decode: Int {
    let config = model.autoencoder.config
    var places = job.latentHeight * job.latentWidth
    var inputs = config.channels[config.channels.count - 1]
    // The middle's attention keeps the image, its norm, q, k, v and the result.
    var most = places * inputs * (Self.f32 + 5 * activation)
    for (level, outputs) in config.channels.reversed().enumerated() {
      let residual = places * (inputs * (Self.f32 + activation) + 2 * outputs * Self.f32)
      most = max(most, residual)
      if level < config.channels.count - 1 {
        // The upsampled image and its convolution.
        most = max(most, places * outputs * (Self.f32 + 4 * 2 * Self.f32))
        places *= 4
      }
      inputs = outputs
    }
    return most + 2 * places * 3 * Self.f32 + expanded(9 * config.channels.reduce(0, max))
  }

  private func expanded(_ weights: Int) -> Int { expandsWeights ? weights * Self.f32 : 0 }
}

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

  /// Bytes that the job would hold at its worst moment, beside mapped files.
  func memoryEstimate(of job: GenerationJob) -> Int {
    MemoryEstimate(job, model, precision: precision, activation: activationDType).bytes
  }
}
