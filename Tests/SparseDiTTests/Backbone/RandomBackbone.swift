import Tensors

@testable import SparseDiT

/// A small backbone with random weights, written down independently of the engine's reader.
struct RandomBackbone {
  static let heads = 2
  static let width = 16
  static let textChannels = 12
  static let classes = 6
  static let patch = 2

  /// The conditions that it draws with.
  enum Kind { case text, classes }

  var tensors: [(name: String, shape: [Int], values: [Float])] = []
  let depth: Int
  let kind: Kind
  private var generator = TorchGenerator(seed: 5)

  /// A dense checkpoint.
  init(depth: Int, kind: Kind = .text) {
    self.depth = depth
    self.kind = kind
    let d = Self.width
    add("pos_embed.proj.weight", [d, 4, Self.patch, Self.patch])
    add("pos_embed.proj.bias", [d])
    switch kind {
    case .text: addText()
    case .classes: addClasses()
    }
    for index in 0..<depth {
      let block = "transformer_blocks.\(index)"
      attention("\(block).attn1")
      linear("\(block).ff.net.0.proj", d, 4 * d)
      linear("\(block).ff.net.2", 4 * d, d)
    }
  }

  /// What only PixArt has.
  private mutating func addText() {
    let d = Self.width
    linear("adaln_single.emb.timestep_embedder.linear_1", 256, d)
    linear("adaln_single.emb.timestep_embedder.linear_2", d, d)
    linear("adaln_single.linear", d, 6 * d)
    linear("caption_projection.linear_1", Self.textChannels, d)
    linear("caption_projection.linear_2", d, d)
    for index in 0..<depth {
      add("transformer_blocks.\(index).scale_shift_table", [6, d])
      attention("transformer_blocks.\(index).attn2")
    }
    add("scale_shift_table", [2, d])
    linear("proj_out", d, Self.patch * Self.patch * 8)
  }

  /// What only DiT has.
  private mutating func addClasses() {
    let d = Self.width
    for index in 0..<depth {
      let norm = "transformer_blocks.\(index).norm1"
      linear("\(norm).emb.timestep_embedder.linear_1", 256, d)
      linear("\(norm).emb.timestep_embedder.linear_2", d, d)
      add("\(norm).emb.class_embedder.embedding_table.weight", [Self.classes + 1, d])
      linear("\(norm).linear", d, 6 * d)
    }
    linear("proj_out_1", d, 2 * d)
    linear("proj_out_2", d, Self.patch * Self.patch * 8)
  }

  /// The same weights as a checkpoint of this layout: no queries and keys in Poolingformers, and
  /// merges with W1 = 0, W2 = identity.
  func converted(to layout: BlockLayout) -> RandomBackbone {
    var result = self
    let d = Self.width
    for (index, role) in layout.roles.enumerated() {
      let block = "transformer_blocks.\(index)"
      if role == .poolingformer {
        result.tensors.removeAll {
          $0.name.hasPrefix("\(block).attn1.to_q") || $0.name.hasPrefix("\(block).attn1.to_k")
        }
      } else if role == .recovery {
        result.tensors.append(
          ("\(block).merge_sparse.weight", [d, d], [Float](repeating: 0, count: d * d)))
        result.tensors.append(
          ("\(block).merge_sparse.bias", [d], [Float](repeating: 0, count: d)))
        result.tensors.append(
          (
            "\(block).merge_dense.weight", [d, d],
            (0..<d * d).map { $0 / d == $0 % d ? 1 : 0 }
          ))
      }
    }
    return result
  }

  /// Loads it, with this `"sparsity"` object in the configuration or none.
  func load(sparsity: [String: Any]? = nil) throws -> Backbone {
    var model = MemoryModel()
    let own: [String: Any] =
      switch kind {
      case .text:
        ["caption_channels": Self.textChannels, "cross_attention_dim": Self.width]
      case .classes:
        ["_class_name": "DiTTransformer2DModel", "num_embeds_ada_norm": Self.classes]
      }
    try model.edit("transformer/config.json", own)
    try model.edit(
      "transformer/config.json",
      [
        "num_attention_heads": Self.heads, "attention_head_dim": Self.width / Self.heads,
        "in_channels": 4, "out_channels": 8, "num_layers": depth, "sample_size": 16,
        "patch_size": Self.patch, "activation_fn": "gelu-approximate", "sparsity": sparsity,
      ])
    try model.write("transformer/diffusion_pytorch_model.safetensors", tensors)
    return try Backbone(folder: model.folder(), precision: .f32)
  }

  /// Weight and bias of a block by the name's last parts, for equations in double precision.
  func plainBlock(_ index: Int) -> PlainBlock {
    let prefix = "transformer_blocks.\(index)."
    return PlainBlock(
      weights: Dictionary(
        uniqueKeysWithValues: tensors.filter { $0.name.hasPrefix(prefix) }
          .map { (String($0.name.dropFirst(prefix.count)), $0.values.map(Double.init)) }))
  }

  mutating func normal(_ count: Int) -> [Float] { generator.randn(count: count) }

  private mutating func attention(_ name: String) {
    for part in ["to_q", "to_k", "to_v", "to_out.0"] {
      linear("\(name).\(part)", Self.width, Self.width)
    }
  }

  private mutating func linear(_ name: String, _ inputs: Int, _ outputs: Int) {
    add("\(name).weight", [outputs, inputs])
    add("\(name).bias", [outputs])
  }

  private mutating func add(_ name: String, _ shape: [Int]) {
    let scale = shape.count == 1 ? 0.3 : 1 / Float(shape.dropFirst().reduce(1, *)).squareRoot()
    let count = shape.reduce(1, *)
    tensors.append((name, shape, normal(count).map { $0 * scale }))
  }
}
