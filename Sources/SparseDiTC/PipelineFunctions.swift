import CSparseDiT
import SparseDiT
import Tensors

@_cdecl("sparsedit_pipeline_options_init")
@implementation
public func sparsedit_pipeline_options_init(
  _ options: UnsafeMutablePointer<sparsedit_pipeline_options>!, _ struct_size: Int
) -> sparsedit_status {
  sparsedit_pipeline_options.fill(
    options, size: struct_size, with: sparsedit_pipeline_options())
}

@_cdecl("sparsedit_pipeline_create")
@implementation
public func sparsedit_pipeline_create(
  _ options: UnsafePointer<sparsedit_pipeline_options>!,
  _ pipeline: UnsafeMutablePointer<OpaquePointer?>!,
  _ message: UnsafeMutablePointer<CChar>!, _ message_capacity: Int
) -> sparsedit_status {
  pipeline?.pointee = nil
  return answer(to: message, capacity: message_capacity) { () throws(Failure) in
    guard let pipeline else { throw .argument("pipeline is NULL") }
    pipeline.pointee = try makePipeline(options).makeHandle()
  }
}

private func makePipeline(
  _ pointer: UnsafePointer<sparsedit_pipeline_options>?
) throws(Failure) -> PipelineObject {
  var options = sparsedit_pipeline_options()
  if let pointer {
    options = try .read(pointer, named: "options", defaults: options)
  }
  let log = HostLog(options.log, userData: options.log_user_data)
  defer { log.deliver() }
  let settings = PipelineOptions(
    precision: try precision(options.precision, named: "options->precision"),
    threads: options.threads == 0
      ? nil
      : try checked(
        options.threads, in: PipelineOptions.threadCounts, named: "options->threads"),
    memoryLimit: options.memory_limit == 0 ? nil : Int(clamping: options.memory_limit),
    log: { log.add($0) })
  let model = try modelFolder(options.model_path, named: "options->model_path")
  let pipeline = try engine { () throws(SparseDiTError) in
    try Pipeline(model: model, options: settings)
  }
  return PipelineObject(pipeline: pipeline, log: log)
}

@_cdecl("sparsedit_pipeline_destroy")
@implementation
public func sparsedit_pipeline_destroy(_ pipeline: OpaquePointer!) {
  PipelineObject.destroy(handle: pipeline)
}

@_cdecl("sparsedit_pipeline_message")
@implementation
public func sparsedit_pipeline_message(
  _ pipeline: OpaquePointer!, _ buffer: UnsafeMutablePointer<CChar>!, _ capacity: Int
) -> Int {
  guard let object = PipelineObject.object(of: pipeline) else {
    return copyText("", to: buffer, capacity: capacity)
  }
  return object.message.copy(to: buffer, capacity: capacity)
}

@_cdecl("sparsedit_pipeline_cancel")
@implementation
public func sparsedit_pipeline_cancel(_ pipeline: OpaquePointer!) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.cancel() ? SPARSEDIT_OK : SPARSEDIT_IDLE
}

@_cdecl("sparsedit_pipeline_get_info")
@implementation
public func sparsedit_pipeline_get_info(
  _ pipeline: OpaquePointer!, _ info: UnsafeMutablePointer<sparsedit_pipeline_info>!
) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    try sparsedit_pipeline_info.write(describe(object), to: info, named: "info")
  }
}

@_cdecl("sparsedit_pipeline_find_class")
@implementation
public func sparsedit_pipeline_find_class(
  _ pipeline: OpaquePointer!, _ name: UnsafePointer<CChar>!, _ name_length: Int,
  _ label: UnsafeMutablePointer<Int32>!
) -> sparsedit_status {
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    guard let label else { throw .argument("label is NULL") }
    let name = try prompt(name, length: name_length, named: "name")
    label.pointee = Int32(
      clamping: try engine { () throws(SparseDiTError) in
        try object.pipeline.classLabel(named: name)
      })
  }
}

private func describe(_ object: PipelineObject) -> sparsedit_pipeline_info {
  let model = object.pipeline.info
  var info = sparsedit_pipeline_info()
  info.family = object.family.pointer
  info.text_encoder_parameters = UInt64(clamping: model.textEncoderParameters)
  info.backbone_parameters = UInt64(clamping: model.backboneParameters)
  info.decoder_parameters = UInt64(clamping: model.decoderParameters)
  info.default_width = Int32(clamping: model.defaultWidth)
  info.default_height = Int32(clamping: model.defaultHeight)
  info.size_multiple = Int32(clamping: model.sizeMultiple)
  let defaults = GenerationRequest()
  info.default_steps = Int32(clamping: model.defaultSteps)
  info.max_steps = Int32(clamping: model.maxSteps)
  info.max_count = Int32(clamping: GenerationRequest.maxCount)
  info.default_guidance_scale = defaults.guidanceScale
  info.max_prompt_tokens = Int32(clamping: model.maxPromptTokens)
  info.max_prompt_bytes = Int32(clamping: Caption.maximumBytes)
  info.class_count = Int32(clamping: model.classCount)
  info.text_channels = Int32(clamping: model.textChannels)
  info.latent_channels = Int32(clamping: model.latentChannels)
  info.output_channels = Int32(clamping: model.outputChannels)
  info.guided_channels = Int32(clamping: model.guidedChannels)
  info.blocks = Int32(clamping: model.depth)
  info.latent_scale = Int32(clamping: model.latentScale)
  let precision =
    switch model.precision {
    case .f32: SPARSEDIT_PRECISION_F32
    case .bf16: SPARSEDIT_PRECISION_BF16
    }
  info.precision = Int32(bitPattern: precision.rawValue)
  info.threads = Int32(clamping: model.threads)
  if let rates = model.rates {
    info.is_sparse = 1
    info.rate_min = rates.min
    info.rate_max = rates.max
  }
  return info
}
