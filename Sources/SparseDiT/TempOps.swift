import Tensors
extension Compute {
  func add(_ b: Tensor, to a: Tensor) throws(SparseDiTError) {
    let v = b.floats(); let c = a.shape.columns
    for r in 0..<a.shape.rows { for i in 0..<c {
      let p = a.pointer.assumingMemoryBound(to: Float.self) + r * a.rowStride + i
      p.pointee += v[r * c + i]
    } }
  }
}
