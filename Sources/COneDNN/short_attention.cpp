#include "attention.hpp"

using namespace sparsedit;

namespace {

/// Widest heads: their keys and values are to stay in a core's cache.
constexpr int64_t most_width = 128;
/// Queries of a piece, for which keys and values are put in order once.
constexpr int64_t most_queries = 512, query_step = 8;

/// Attention over so few keys that calling oneDNN would take longer than the work.
struct ShortAttention : dn_attention {
  Split pieces;

  explicit ShortAttention(const dn_attention_shape &s)
      : dn_attention(s), pieces(s.queries, most_queries, query_step, most_queries) {}

  int64_t pieces_per_head() const override { return pieces.count; }
  static constexpr size_t mask_bytes = ck_short_keys * sizeof(float);
  size_t thread_bytes() const override {
    return mask_bytes + round_up(ck_short_attention_scratch(shape.keys, shape.width));
  }

  dnnl_status_t run(
    const AttentionRun &run, int64_t batch, int64_t head, int64_t piece, int32_t thread
  ) override {
    const dn_attention_operands &o = *run.operands;
    const dn_attention_shape &s = shape;
    const ck_level level = run.engine->team.level;
    char *scratch = static_cast<char *>(o.scratch) + size_t(thread) * thread_bytes();
    auto *mask = reinterpret_cast<float *>(scratch);
    ck_prepare_mask(level, o.mask ? o.mask + batch * o.mask_batch : nullptr, s.keys, mask);
    int64_t query = piece * pieces.size, row = batch * s.queries + query, column = head * s.width;
    auto rows = [&](const void *data, int64_t first, int64_t stride) {
      return ck_rows{const_cast<void *>(advanced(data, s.type, first + column)), stride, s.type};
    };
    ck_short_attention_arguments a = {};
    a.q = rows(o.query, row * s.query_stride, s.query_stride);
    a.k = rows(o.key, batch * o.key_batch, s.key_stride);
    a.v = rows(o.value, batch * o.value_batch, s.value_stride);
    a.out = rows(o.out, row * s.out_stride, s.out_stride);
    a.queries = pieces.at(piece);
    a.keys = s.keys;
    a.width = s.width;
    a.scale = o.scale;
    a.bias = o.bias ? o.bias + (head * s.queries + query) * s.keys : nullptr;
    a.bias_stride = s.keys;
    a.mask = mask;
    a.scratch = reinterpret_cast<float *>(scratch + mask_bytes);
    ck_short_attention(level, &a);
    return dnnl_success;
  }
};

}  // namespace

std::unique_ptr<dn_attention> sparsedit::make_short_attention(const dn_attention_shape &shape) {
  if (shape.type != ck_bf16 || shape.keys > ck_short_keys || shape.width > most_width)
    return nullptr;
  return std::make_unique<ShortAttention>(shape);
}
