import CSparseDiT
import SparseDiT
import Tensors

/// Pictures that one call of a stage may take.
private let batches = 1...256

@_cdecl("sparsedit_tokenize")
@implementation
public func sparsedit_tokenize(
  _ pipeline: OpaquePointer!, _ prompt: UnsafePointer<CChar>!, _ prompt_length: Int,
  _ max_length: Int32, _ ids: UnsafeMutablePointer<Int32>!, _ mask: UnsafeMutablePointer<Int32>!,
  _ capacity: Int, _ needed: UnsafeMutablePointer<Int>!
) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.answer { stages throws(Failure) in
    // First of all: no array has a right size for a model of another kind.
    try stages.info.require(.text, of: "prompt")
    let text = try SparseDiTC.prompt(prompt, length: prompt_length, named: "prompt")
    let length =
      max_length == 0
      ? stages.info.maxPromptTokens
      : try checked(max_length, in: PipelineStages.textLengths, named: "max_length")
    let ids = try output(ids, capacity: capacity, needed: needed, count: length, named: "ids")
    let mask = try output(mask, capacity: capacity, needed: needed, count: length, named: "mask")
    let tokens = try engine { () throws(SparseDiTError) in
      try stages.tokenize(text, length: length)
    }
    _ = ids.update(fromContentsOf: tokens.ids)
    _ = mask.update(fromContentsOf: tokens.mask)
  }
}

@_cdecl("sparsedit_encode_prompt")
@implementation
public func sparsedit_encode_prompt(
  _ pipeline: OpaquePointer!, _ ids: UnsafePointer<Int32>!, _ mask: UnsafePointer<Int32>!,
  _ batch: Int32, _ length: Int32, _ embedding: UnsafeMutablePointer<Float>!, _ capacity: Int,
  _ needed: UnsafeMutablePointer<Int>!
) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.answer { stages throws(Failure) in
    try stages.info.require(.text, of: "ids")
    let batch = try checked(batch, in: batches, named: "batch")
    let length = try checked(length, in: PipelineStages.textLengths, named: "length")
    let count = try elementCount(
      [batch, length, stages.info.textChannels], named: "embedding")
    let embedding = try output(
      embedding, capacity: capacity, needed: needed, count: count, named: "embedding")
    let ids = Array(try input(ids, count: batch * length, named: "ids"))
    let mask = Array(try input(mask, count: batch * length, named: "mask"))
    try engine { () throws(SparseDiTError) in
      try stages.encodePrompt(
        ids: ids, mask: mask, batch: batch, into: embedding)
    }
  }
}

@_cdecl("sparsedit_noise")
@implementation
public func sparsedit_noise(
  _ pipeline: OpaquePointer!, _ seed: UInt64, _ height: Int32, _ width: Int32, _ batch: Int32,
  _ latents: UnsafeMutablePointer<Float>!, _ capacity: Int, _ needed: UnsafeMutablePointer<Int>!
) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.answer { stages throws(Failure) in
    let info = stages.info
    let batch = try checked(batch, in: batches, named: "batch")
    let sides = try [(height, "height"), (width, "width")].map { side, name throws(Failure) in
      guard side > 0, Int(side) % info.sizeMultiple == 0 else {
        throw .argument(
          "\(name) is \(side); it must be a positive multiple of \(info.sizeMultiple)")
      }
      return Int(side) / info.latentScale
    }
    let count = try elementCount([batch, info.latentChannels] + sides, named: "latents")
    let latents = try output(
      latents, capacity: capacity, needed: needed, count: count, named: "latents")
    try engine { () throws(SparseDiTError) in
      try stages.noise(seed: seed, into: latents)
    }
  }
}

@_cdecl("sparsedit_denoise_options_init")
@implementation
public func sparsedit_denoise_options_init(
  _ options: UnsafeMutablePointer<sparsedit_denoise_options>!, _ struct_size: Int
) -> sparsedit_status {
  sparsedit_denoise_options.fill(options, size: struct_size, with: sparsedit_denoise_options())
}

@_cdecl("sparsedit_denoise")
@implementation
public func sparsedit_denoise(
  _ pipeline: OpaquePointer!, _ options: UnsafePointer<sparsedit_denoise_options>!,
  _ output: UnsafeMutablePointer<Float>!, _ capacity: Int, _ needed: UnsafeMutablePointer<Int>!
) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.answer { stages throws(Failure) in
    let options = try sparsedit_denoise_options.read(
      options, named: "options", defaults: sparsedit_denoise_options())
    let info = stages.info
    let size = try latentSize(
      batch: options.batch, height: options.latent_height, width: options.latent_width,
      unit: info.patch, info)
    let count = try elementCount(
      [size.batch, info.outputChannels, size.height, size.width], named: "output")
    let output = try SparseDiTC.output(
      output, capacity: capacity, needed: needed, count: count, named: "output")
    let request = try options.input(size, of: stages)
    try engine { () throws(SparseDiTError) in
      try stages.denoise(request, into: output)
    }
  }
}

extension sparsedit_denoise_options {
  /// The engine's form of the options.
  fileprivate func input(
    _ size: LatentSize, of stages: PipelineStages
  ) throws(Failure) -> DenoiseInput {
    let info = stages.info
    // Written so that NaN fails too.
    guard timestep >= 0, timestep <= Double(stages.trainTimesteps) else {
      throw .argument("options->timestep is \(timestep); it must be 0 to \(stages.trainTimesteps)")
    }
    return DenoiseInput(
      size: size,
      latents: try SparseDiTC.input(
        latents, count: size.batch * info.latentChannels * size.height * size.width,
        named: "options->latents"),
      timestep: timestep,
      condition: info.kind == .text ? try text(size, info) : try labels(size, info),
      sparsity: try sparsityChoice(), tokenSchedule: try tokenScheduleKind())
  }

  private func text(
    _ size: LatentSize, _ info: ModelInfo
  ) throws(Failure) -> Condition<TextFeatures, [Int]> {
    if class_labels != nil { try info.require(.classes, of: "options->class_labels") }
    let length = try checked(
      text_length, in: PipelineStages.textLengths, named: "options->text_length")
    let texts = size.batch * length
    return .text(
      TextFeatures(
        try SparseDiTC.input(
          embedding, count: texts * info.textChannels, named: "options->embedding"),
        mask: mask == nil
          ? Array(repeating: 1, count: texts)
          : Array(try SparseDiTC.input(mask, count: texts, named: "options->mask")),
        length: length))
  }

  private func labels(
    _ size: LatentSize, _ info: ModelInfo
  ) throws(Failure) -> Condition<TextFeatures, [Int]> {
    if embedding != nil || mask != nil || text_length != 0 {
      try info.require(.text, of: "options->embedding")
    }
    let labels = try SparseDiTC.input(
      class_labels, count: size.batch, named: "options->class_labels")
    for label in labels {
      _ = try checked(label, in: 0...info.classCount, named: "a label in options->class_labels")
    }
    return .classes(labels.map(Int.init))
  }
}

@_cdecl("sparsedit_decode")
@implementation
public func sparsedit_decode(
  _ pipeline: OpaquePointer!, _ latents: UnsafePointer<Float>!, _ batch: Int32,
  _ latent_height: Int32, _ latent_width: Int32, _ pixels: UnsafeMutablePointer<Float>!,
  _ capacity: Int, _ needed: UnsafeMutablePointer<Int>!
) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.answer { stages throws(Failure) in
    let info = stages.info
    let size = try latentSize(
      batch: batch, height: latent_height, width: latent_width, unit: 1, info)
    let count = try elementCount(
      [size.batch, 3, size.height, info.latentScale, size.width, info.latentScale],
      named: "pixels")
    let pixels = try output(
      pixels, capacity: capacity, needed: needed, count: count, named: "pixels")
    let latents = try input(
      latents, count: size.batch * info.latentChannels * size.height * size.width,
      named: "latents")
    try engine { () throws(SparseDiTError) in
      try stages.decode(latents, size, into: pixels)
    }
  }
}

extension ModelInfo {
  /// - Throws: the engine's refusal of what belongs to a model of another kind.
  fileprivate func require(_ kind: ConditionKind, of what: String) throws(Failure) {
    try engine { () throws(SparseDiTError) in try self.kind.require(kind, of: what) }
  }
}

/// Checks the sizes of latents: sides that are multiples of `unit`, and an element count that exists.
private func latentSize(
  batch: Int32, height: Int32, width: Int32, unit: Int, _ info: ModelInfo
) throws(Failure) -> LatentSize {
  let batch = try checked(batch, in: batches, named: "batch")
  for (side, name) in [(height, "latent_height"), (width, "latent_width")] {
    guard side > 0, Int(side) % unit == 0 else {
      throw .argument("\(name) is \(side); it must be a positive multiple of \(unit)")
    }
  }
  _ = try elementCount([batch, info.latentChannels, Int(height), Int(width)], named: "latents")
  return LatentSize(batch: batch, height: Int(height), width: Int(width))
}
