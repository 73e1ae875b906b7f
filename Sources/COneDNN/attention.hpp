#pragma once
#include "engine.hpp"

/// A call's operands, and the first failure of a piece.
struct AttentionRun {
  const dn_engine *engine;
  dn_attention *attention;
  const dn_attention_operands *operands;
  std::atomic<dnnl_status_t> status{dnnl_success};
};

/// Attention in pieces of one head and some queries, small enough that what a piece works on stays in a
/// core's cache. Each piece is one thread's: products by oneDNN and the softmax between them.
struct dn_attention {
  dn_attention_shape shape;

  explicit dn_attention(const dn_attention_shape &shape) : shape(shape) {}
  virtual ~dn_attention() = default;
  /// Pieces of one head's queries.
  virtual int64_t pieces_per_head() const = 0;
  /// Scratch memory of one thread.
  virtual size_t thread_bytes() const = 0;
  /// `piece` of the queries of a head of a batch entry.
  virtual dnnl_status_t run(
    const AttentionRun &run, int64_t batch, int64_t head, int64_t piece, int32_t thread) = 0;
};

namespace sparsedit {

/// All keys at once, keys and values as they lie.
std::unique_ptr<dn_attention> make_plain_attention(
  dn_engine &engine, const dn_attention_shape &shape);
/// By a kernel of ours, without oneDNN; null where there are too many keys.
std::unique_ptr<dn_attention> make_short_attention(const dn_attention_shape &shape);
/// Keys and values block by block, each packed first; null where products would not gain by it.
std::unique_ptr<dn_attention> make_packed_attention(
  dn_engine &engine, const dn_attention_shape &shape);

}  // namespace sparsedit
