import Tensors

@testable import SparseDiT

/// libFuzzer's entry: the input is a file of weights, a zip file of `torch.save` or its older form.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCheckpoint(_ data: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let file = FileBytes(name: "input", embedded: UnsafeRawBufferPointer(start: data, count: count))
  guard let tensors = try? TorchFile(file).weights() else { return 0 }
  var sum = Float.zero
  for tensor in tensors {
    // No tensor is larger than the file that it lies in.
    if tensor.byteCount > count { fatalError("a tensor that is larger than its file") }
    try? tensor.forEachPiece { piece throws(SparseDiTError) in
      sum += try piece.kept(as: .f32).floats().reduce(0, +)
    }
    for part in 0..<3 { _ = try? tensor.part(part, of: 3) }
  }
  return sum == 1 ? 1 : 0
}
