import Glibc
import Tensors

/// T5's relative position bias: a learned score per head for each bucket of distances.
///
/// Half of the buckets serve keys after the query, half those before. Of each half the first half
/// counts distances one by one, the rest grow logarithmically up to `maxDistance`.
struct RelativePosition: Sendable {
  /// f32 `[buckets, heads]`.
  let table: Tensor
  let maxDistance: Int

  /// The bias of every query (row) and key (column): f32 `[heads, length, length]`.
  func bias(length: Int, on compute: Compute) throws(SparseDiTError) -> Tensor {
    let heads = table.shape.columns
    let bias = try compute.empty([heads, length, length], .f32)
    let scores = table.f32
    let values = bias.f32
    // One bucket per distance −(length − 1) … length − 1.
    let buckets = (1 - length..<max(length, 1)).map(bucket(of:))
    for head in 0..<heads {
      for query in 0..<length {
        let row = (head * length + query) * length
        for key in 0..<length {
          values[row + key] = scores[buckets[key - query + length - 1] * heads + head]
        }
      }
    }
    return bias
  }

  /// The bucket of a key `distance` tokens after its query.
  func bucket(of distance: Int) -> Int {
    let half = table.shape[0] / 2
    let exact = half / 2
    let side = distance > 0 ? half : 0
    let magnitude = abs(distance)
    if magnitude < exact { return side + magnitude }
    // In f32 and in this order as transformers has it: at 64 tokens one rounding decides.
    let ratio =
      logf(Float(magnitude) / Float(exact)) / Float(log(Double(maxDistance) / Double(exact)))
    return side + min(half - 1, exact + Int(ratio * Float(half - exact)))
  }
}
