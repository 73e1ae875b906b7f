import CSparseDiT
import SparseDiT
import Tensors

@_cdecl("sparsedit_generate_options_init")
@implementation
public func sparsedit_generate_options_init(
  _ options: UnsafeMutablePointer<sparsedit_generate_options>!, _ struct_size: Int
) -> sparsedit_status {
  sparsedit_generate_options.fill(options, size: struct_size, with: .defaults)
}

@_cdecl("sparsedit_generate")
@implementation
public func sparsedit_generate(
  _ pipeline: OpaquePointer!, _ options: UnsafePointer<sparsedit_generate_options>!,
  _ images: UnsafeMutablePointer<OpaquePointer?>!
) -> sparsedit_status {
  images?.pointee = nil
  guard let object = PipelineObject.object(of: pipeline) else { return SPARSEDIT_INVALID_HANDLE }
  return object.message.answer { () throws(Failure) in
    let result = try object.exclusively { stages throws(Failure) in
      guard images != nil else { throw .argument("images is NULL") }
      let options = try sparsedit_generate_options.read(
        options, named: "options", defaults: .defaults)
      let request = try options.request(defaultSteps: object.pipeline.info.defaultSteps)
      return try engine { () throws(SparseDiTError) in
        try stages.generate(
          request, asking: options.tokenDensity, control: options.control(stages.cancellation))
      }
    }
    images?.pointee = ImagesObject(result).makeHandle()
  }
}

extension sparsedit_generate_options {
  static var defaults: sparsedit_generate_options {
    var options = sparsedit_generate_options()
    options.guidance_scale = -1
    options.class_label = -1
    options.count = 1
    return options
  }

  /// The engine's request, without ``tokenDensity``. What needs the model (sizes, most steps,
  /// memory) is checked there.
  ///
  /// - Parameter defaultSteps: of the model, where that is known already.
  func request(
    defaultSteps: Int = GenerationRequest.defaultSteps
  ) throws(Failure) -> GenerationRequest {
    var request = GenerationRequest(
      prompt: try SparseDiTC.prompt(
        prompt, length: prompt_length, named: "options->prompt"),
      negativePrompt: try SparseDiTC.prompt(
        negative_prompt, length: negative_prompt_length, named: "options->negative_prompt"),
      classLabel: class_label == -1 ? nil : Int(class_label),
      width: width == 0 ? nil : Int(width), height: height == 0 ? nil : Int(height),
      seed: seed, count: Int(count), sparsity: try sparsityOrPlaceholder(),
      tokenSchedule: try tokenScheduleKind(), sampler: try samplerKind(sampler), eta: eta,
      cleansCaptions: no_clean_caption == 0, keepsExactSize: exact_size != 0)
    request.steps = steps == 0 ? defaultSteps : Int(steps)
    // Not `>= 0`: NaN has to reach the engine's check.
    if !(guidance_scale < 0) { request.guidanceScale = guidance_scale }
    return request
  }

  private func sparsityOrPlaceholder() throws(Failure) -> SparsityChoice {
    guard asksForTokens else { return try sparsityChoice() }
    guard on_tokens != nil else {
      throw .argument("options->on_tokens is NULL with SPARSEDIT_SPARSITY_CALLBACK")
    }
    return .model
  }

  /// The callbacks in the engine's form. Both run on the thread that called, while it waits.
  fileprivate func control(_ cancellation: Cancellation) -> RunControl {
    RunControl(
      onStep: on_step.map { stepHandler(HostCallback(function: $0, userData: on_step_user_data)) },
      onPreview: on_preview.map {
        previewHandler(HostCallback(function: $0, userData: on_preview_user_data))
      }, cancellation: cancellation)
  }
}

private func stepHandler(
  _ host: HostCallback<sparsedit_step_callback>
) -> @Sendable (StepProgress) -> Bool {
  { progress in
    withUnsafePointer(to: sparsedit_step(progress)) { host.function($0, host.userData) == 0 }
  }
}

private func previewHandler(
  _ host: HostCallback<sparsedit_preview_callback>
) -> @Sendable (RGBImage, StepProgress) -> Void {
  { image, progress in
    image.pixels.withUnsafeBufferPointer { pixels in
      let view = sparsedit_image_view(image, pixels: pixels.baseAddress, seed: 0)
      withUnsafePointer(to: sparsedit_step(progress)) { step in
        withUnsafePointer(to: view) { host.function(step, $0, host.userData) }
      }
    }
  }
}

extension sparsedit_step {
  fileprivate init(_ progress: StepProgress) {
    self.init()
    struct_size = MemoryLayout<sparsedit_step>.size
    image = Int32(clamping: progress.image)
    images = Int32(clamping: progress.images)
    step = Int32(clamping: progress.step)
    steps = Int32(clamping: progress.steps)
    tokens = Int32(clamping: progress.tokens)
    dense_tokens = Int32(clamping: progress.denseTokens)
    seconds = progress.seconds
    seconds_left = progress.secondsLeft
  }
}
