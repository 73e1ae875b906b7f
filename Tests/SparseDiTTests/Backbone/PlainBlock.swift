import Foundation

/// The equations of a PixArt block in double precision, one token after the other: the result that
/// the fast ways must have.
struct PlainBlock {
  typealias Tokens = [[Double]]
  let weights: [String: [Double]]
  private let heads = RandomBackbone.heads

  /// - Parameters:
  ///   - x: tokens that ask.
  ///   - y: tokens that are read.
  ///   - uniform: the attention map is 1/N everywhere.
  ///   - modulation: 6·D shared values.
  ///   - text: what the cross-attention reads.
  func forward(
    _ x: Tokens, reading y: Tokens, uniform: Bool = false, modulation: [Double], text: Tokens
  ) -> Tokens {
    let width = x[0].count
    let table = weights["scale_shift_table"] ?? []
    let m = (0..<6).map { part in
      (0..<width).map { table[part * width + $0] + modulation[part * width + $0] }
    }
    let queries = x.map { modulated($0, shift: m[0], scale: m[1]) }
    let context = y.map { modulated($0, shift: m[0], scale: m[1]) }
    let attended = attention("attn1", queries, context, uniform: uniform)
    var x = zip(x, attended).map { token, a in zip3(token, m[2], a) { $0 + $1 * $2 } }
    x = zip(x, attention("attn2", x, text, uniform: false)).map { zip($0, $1).map(+) }
    return x.map { token in
      let h = modulated(token, shift: m[3], scale: m[4])
      let hidden = linear("ff.net.0.proj", h).map {
        0.5 * $0 * (1 + tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0)))
      }
      return zip3(token, m[5], linear("ff.net.2", hidden)) { $0 + $1 * $2 }
    }
  }

  private func modulated(_ token: [Double], shift: [Double], scale: [Double]) -> [Double] {
    let mean = token.reduce(0, +) / Double(token.count)
    let variance = token.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(token.count)
    return zip3(token, scale, shift) {
      ($0 - mean) / (variance + 1e-6).squareRoot() * (1 + $1) + $2
    }
  }

  private func attention(
    _ name: String, _ queries: Tokens, _ context: Tokens, uniform: Bool
  ) -> Tokens {
    let values = context.map { linear("\(name).to_v", $0) }
    let keys = uniform ? [] : context.map { linear("\(name).to_k", $0) }
    return queries.map { token in
      let query = uniform ? [] : linear("\(name).to_q", token)
      let size = values[0].count / heads
      var result: [Double] = []
      for head in 0..<heads {
        let range = head * size..<(head + 1) * size
        var scores = [Double](repeating: 1, count: values.count)
        if !uniform {
          scores = keys.map { key in
            exp(range.reduce(0) { $0 + query[$1] * key[$1] } / Double(size).squareRoot())
          }
        }
        let sum = scores.reduce(0, +)
        for channel in range {
          result.append(zip(scores, values).reduce(0) { $0 + $1.0 * $1.1[channel] } / sum)
        }
      }
      return linear("\(name).to_out.0", result)
    }
  }

  private func linear(_ name: String, _ x: [Double]) -> [Double] {
    let weight = weights["\(name).weight"] ?? []
    let bias = weights["\(name).bias"] ?? []
    return bias.enumerated().map { row, bias in
      x.indices.reduce(bias) { $0 + weight[row * x.count + $1] * x[$1] }
    }
  }
}

private func zip3(
  _ a: [Double], _ b: [Double], _ c: [Double], _ f: (Double, Double, Double) -> Double
) -> [Double] {
  a.indices.map { f(a[$0], b[$0], c[$0]) }
}
