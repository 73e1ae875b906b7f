import COneDNN
import Testing

@testable import Tensors

/// Every product and convolution of every model that is opened runs a kernel that oneDNN generates
/// for the CPU level in use: its reference code is a hundred times slower. Primitives are made, not
/// run, so that large models cost nothing; operands are memory that nobody touches.
@Suite struct KernelChoiceTests {
  @Test(arguments: Setting.usual) func noProductIsReferenceCode(_ setting: Setting) throws {
    let compute = try setting.compute()
    for model in TransformerShape.all { try model.prepare(on: compute) }
    for decoder in DecoderShape.all { try decoder.prepare(on: compute) }
    let kernels = compute.takeKernels()
    #expect(kernels.count > 100)
    #expect(compute.takeKernels().isEmpty)
    for kernel in kernels {
      #expect(kernel.contains(/: (brg|brgconv|brgconv_1x1|gemm:jit|jit)/), "\(kernel)")
      #expect(!kernel.contains("ref"), "\(kernel)")
    }
  }
}

extension KernelChoiceTests {
  /// What the memory plan counts for a thread, however large the operands are.
  @Test(arguments: Setting.usual) func blocksFitIntoWhatAThreadMayTake(
    _ setting: Setting
  ) throws {
    let compute = try setting.compute()
    // Of a decoder at 512² to 4096², with one head; and of long sequences with narrow ones.
    for (tokens, width, heads) in [
      (4096, 512, 1), (16_384, 512, 1), (65_536, 512, 1), (262_144, 512, 1), (40_000, 1152, 16),
      (300, 4096, 1),
    ] {
      let shape: Shape = [1, tokens, width]
      let x = Tensor(
        storage: try Storage(allocating: 0), shape: shape, dtype: compute.activationDType)
      var attention = compute.attentionShape(x, x, x, heads: heads, into: x)
      try compute.prepareWithinBounds(&attention)
    }
    for (rows, inputs, outputs) in [(300, 65_536, 96), (2000, 20_000, 640), (7, 30_000, 2048)] {
      func tensor(_ shape: Shape, _ type: DType) throws -> Tensor {
        Tensor(storage: try Storage(allocating: 0), shape: shape, dtype: type)
      }
      let result = try tensor([rows, outputs], .f32)
      var shape = compute.linearShape(
        try tensor([rows, inputs], compute.activationDType),
        try tensor([outputs, inputs], compute.weightDType), hasBias: true, into: result,
        activation: .none, isGated: true, factor: nil, accumulate: true)
      try compute.prepareWithinBounds(&shape)
    }
  }
}

extension Compute {
  fileprivate func prepareWithinBounds(_ shape: inout dn_attention_shape) throws {
    let bytes = try prepare(&shape).scratchBytes
    #expect(
      bytes <= threads * Compute.bytesPerThread,
      "attention \(shape.queries)×\(shape.keys)×\(shape.width): \(bytes)")
  }

  fileprivate func prepareWithinBounds(_ shape: inout dn_linear_shape) throws {
    let bytes = try prepare(&shape).scratchBytes
    #expect(
      bytes <= threads * Compute.bytesPerThread,
      "linear \(shape.rows)×\(shape.inputs)→\(shape.outputs): \(bytes)")
  }
}

/// The layers of a transformer at the sizes that occur.
private struct TransformerShape {
  let width: Int
  let hidden: Int
  let heads: Int
  /// Tokens of one picture or text.
  let tokens: [Int]
  /// Tokens of text that are read; 0 for a model of classes.
  let text: Int
  /// Whether the hidden layer is gated, as T5's.
  var isGated = false

  /// DiT-S to XL, PixArt-XL at 256² to 1024², dense and at the paper's rates; the default model; T5
  /// XXL and the default model's text encoder.
  static let all =
    [(384, 6), (768, 12), (1024, 16), (1152, 16)].map { width, heads in
      TransformerShape(
        width: width, hidden: 4 * width, heads: heads, tokens: [36, 64, 100, 144, 256, 1024],
        text: 0)
    } + [
      TransformerShape(
        width: 1152, hidden: 4608, heads: 16, tokens: [36, 144, 256, 400, 1024, 4096], text: 120),
      TransformerShape(
        width: 1152, hidden: 4608, heads: 16, tokens: [256, 1024], text: 300),
      TransformerShape(
        width: 192, hidden: 768, heads: 6, tokens: [9, 16, 25, 36, 64, 144, 256], text: 7),
      TransformerShape(
        width: 4096, hidden: 10240, heads: 64, tokens: [9, 120, 300], text: 0, isGated: true),
      TransformerShape(
        width: 128, hidden: 512, heads: 4, tokens: [1, 7, 32], text: 0, isGated: true),
    ]

  func prepare(on compute: Compute) throws {
    for tokens in tokens { try prepare(tokens, on: compute) }
    // Modulation of 16 steps at once, the timestep's embedding, the text's projection.
    for (rows, inputs, outputs) in [
      (16, width, 6 * width), (1, width, 2 * width), (16, 256, width), (2 * text, 4096, width),
    ] where rows > 0 {
      try linear(rows, inputs, outputs, activation: .silu, on: compute)
    }
  }

  private func prepare(_ tokens: Int, on compute: Compute) throws {
    let rows = 2 * tokens
    try linear(rows, width, 3 * width, on: compute)
    try linear(rows, width, width, on: compute)
    try linear(rows, width, hidden, activation: .gelu, isGated: isGated, on: compute)
    for (inputs, gate) in [(width, true), (width, false), (hidden, !isGated)] {
      try linear(rows, inputs, width, addsTo: true, gate: gate, on: compute)
    }
    try linear(rows, 16, width, on: compute)
    try linear(rows, width, 32, output: .f32, on: compute)
    let type = compute.activationDType
    let qkv = try compute.empty([2, tokens, 3 * width], type)
    let words = try compute.empty([2, max(text, 1), 2 * width], type)
    let out = try compute.empty([2, tokens, width], type)
    for source in [qkv, words] {
      var shape = compute.attentionShape(
        qkv.columns(0..<width), source.columns(0..<width), source.columns(width..<2 * width),
        heads: heads, into: out)
      try compute.prepareWithinBounds(&shape)
    }
  }

  private func linear(
    _ rows: Int, _ inputs: Int, _ outputs: Int, activation: Activation = .none,
    addsTo: Bool = false, gate: Bool = false, isGated: Bool = false, output: DType? = nil,
    on compute: Compute
  ) throws {
    let type = compute.activationDType
    let x = try compute.empty([rows, inputs], type)
    let weight = try compute.empty([outputs, inputs], compute.weightDType)
    let result = try compute.empty([rows, outputs], addsTo ? .f32 : output ?? type)
    let factor = isGated ? try compute.empty([rows, outputs], type) : nil
    var shape = compute.linearShape(
      x, weight, hasBias: !isGated, into: result, activation: activation, isGated: gate,
      factor: factor, accumulate: addsTo)
    try compute.prepareWithinBounds(&shape)
    var packing = compute.packShape(of: weight)
    guard type == .bf16, try compute.packedBytes(&packing) > 0 else { return }
    shape.packed = true
    try compute.prepareWithinBounds(&shape)
  }
}

/// The convolutions of an autoencoder's decoder.
private struct DecoderShape {
  let latentChannels: Int
  /// Of each level, finest first.
  let channels: [Int]
  let latentSide: Int

  /// Stable Diffusion's at 256² to 1024², and small ones as the default model's.
  static let all =
    [32, 64, 128].map {
      DecoderShape(latentChannels: 4, channels: [128, 256, 512, 512], latentSide: $0)
    } + [
      DecoderShape(latentChannels: 4, channels: [16, 32, 64, 64], latentSide: 32),
      DecoderShape(latentChannels: 16, channels: [24, 48, 64, 96], latentSide: 32),
      DecoderShape(latentChannels: 4, channels: [16, 32, 64, 64], latentSide: 37),
    ]

  func prepare(on compute: Compute) throws {
    var side = latentSide
    var inputs = channels[channels.count - 1]
    try convolution(side, latentChannels, latentChannels, kernel: 1, on: compute)
    try convolution(side, latentChannels, inputs, on: compute)
    for (level, outputs) in channels.reversed().enumerated() {
      try convolution(side, inputs, outputs, on: compute)
      try convolution(side, outputs, outputs, addsTo: true, on: compute)
      if inputs != outputs { try convolution(side, inputs, outputs, kernel: 1, on: compute) }
      inputs = outputs
      guard level < channels.count - 1 else { break }
      side *= 2
      try convolution(side, outputs, outputs, on: compute)
    }
    try convolution(side, inputs, 3, on: compute)
  }

  private func convolution(
    _ side: Int, _ inputs: Int, _ outputs: Int, kernel: Int = 3, addsTo: Bool = false,
    on compute: Compute
  ) throws {
    let type = compute.activationDType
    let layer = Convolution(
      weight: try compute.empty([outputs, inputs, kernel, kernel], compute.weightDType),
      bias: try compute.empty([outputs], .f32), padding: kernel / 2)
    var shape = compute.convolutionShape(
      try compute.empty([1, side, side, inputs], type), layer, type: type,
      into: try compute.empty([1, side, side, outputs], .f32), accumulate: addsTo)
    _ = try compute.prepare(&shape)
  }
}
