#include "attention.hpp"

using dnnl::memory;
using namespace sparsedit;

namespace {

enum place : size_t { place_a, place_b, place_c, place_scratch };

Operations product(
  dn_engine &engine, const memory::desc &a, const memory::desc &b, const memory::desc &c,
  std::array<int64_t, 3> sizes, ck_type type
) {
  auto desc = matmul_desc(engine.engine, a, b, nullptr, c, attributes({}));
  Operation operation{dnnl::matmul(desc)};
  operation.add(DNNL_ARG_SRC, a, engine.engine);
  operation.add(DNNL_ARG_WEIGHTS, b, engine.engine);
  operation.add(DNNL_ARG_DST, c, engine.engine);
  operation.add(DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc(), engine.engine);
  engine.note_kernel("attention", sizes, type, desc.impl_info_str());
  return {std::move(operation), desc.scratchpad_desc().get_size(), engine.team.threads};
}

/// The two products for a chunk of some number of queries.
struct Products {
  Operations scores, output;

  Products() = default;
  Products(dn_engine &engine, const dn_attention_shape &s, int64_t queries) {
    auto type = data_type(s.type);
    using dims = memory::dims;
    memory::desc query({queries, s.width}, type, dims{s.query_stride, 1});
    memory::desc key({s.width, s.keys}, type, dims{1, s.key_stride});
    memory::desc scored({queries, s.keys}, memory::data_type::f32, dims{s.keys, 1});
    memory::desc weights({queries, s.keys}, type, dims{s.keys, 1});
    memory::desc value({s.keys, s.width}, type, dims{s.value_stride, 1});
    memory::desc out({queries, s.width}, type, dims{s.out_stride, 1});
    scores = product(engine, query, key, scored, {queries, s.width, s.keys}, s.type);
    output = product(engine, weights, value, out, {queries, s.keys, s.width}, s.type);
  }
};

/// What the scores of a piece, and the softmax of them in the type of V, are to fit into, and what they
/// may take at most where there are many keys.
constexpr int64_t score_bytes = 512 << 10, most_score_bytes = 3 * score_bytes;
constexpr int64_t least_queries = 16;

int64_t bytes_per_score(ck_type type) { return type == ck_f32 ? 4 : 4 + int64_t(size_of(type)); }

Split split_queries(const dn_attention_shape &s) {
  int64_t row = s.keys * bytes_per_score(s.type);
  return {
    s.queries, std::max(score_bytes / row, least_queries), least_queries, most_score_bytes / row};
}

struct PlainAttention : dn_attention {
  Split chunks;
  /// For full chunks, and for the last one when it is shorter.
  Products full, last;
  /// The scores, the weights in the type of V, oneDNN's own.
  size_t scores_bytes, weights_bytes, own_bytes = 0;

  PlainAttention(dn_engine &engine, const dn_attention_shape &s)
      : dn_attention(s), chunks(split_queries(s)) {
    last = {engine, s, chunks.last};
    if (chunks.count > 1) full = {engine, s, chunks.size};
    for (auto *made : {&full, &last})
      own_bytes = std::max(
        {own_bytes, made->scores.scratch_bytes, made->output.scratch_bytes});
    size_t scores = size_t(chunks.size) * size_t(s.keys);
    scores_bytes = round_up(scores * sizeof(float));
    weights_bytes = s.type == ck_f32 ? 0 : round_up(scores * size_of(s.type));
  }

  int64_t pieces_per_head() const override { return chunks.count; }
  size_t thread_bytes() const override { return scores_bytes + weights_bytes + own_bytes; }
  dnnl_status_t run(
    const AttentionRun &run, int64_t batch, int64_t head, int64_t chunk, int32_t thread) override;
};

dnnl_status_t PlainAttention::run(
  const AttentionRun &run, int64_t batch, int64_t head, int64_t chunk, int32_t thread
) {
  const dn_attention_operands &o = *run.operands;
  const dn_attention_shape &s = shape;
  int64_t first = chunk * chunks.size, rows = chunks.at(chunk);
  Products &products = chunk == chunks.count - 1 ? last : full;
  Operation &scored = products.scores[thread], &averaged = products.output[thread];

  char *scratch = static_cast<char *>(o.scratch) + size_t(thread) * thread_bytes();
  void *scores = scratch;
  void *weights = s.type == ck_f32 ? scores : scratch + scores_bytes;
  void *own = scratch + scores_bytes + weights_bytes;
  int64_t row = batch * s.queries + first, column = head * s.width;

  scored.set(place_a, advanced(o.query, s.type, row * s.query_stride + column));
  scored.set(place_b, advanced(o.key, s.type, batch * o.key_batch + column));
  scored.set(place_c, scores);
  scored.set(place_scratch, own);
  if (auto status = scored.run(run.engine->stream)) return status;

  ck_softmax_arguments softmax = {};
  softmax.x = {scores, s.keys, ck_f32};
  softmax.out = {weights, s.keys, s.type};
  softmax.rows = rows;
  softmax.columns = s.keys;
  softmax.scale = o.scale;
  softmax.bias = o.bias ? o.bias + (head * s.queries + first) * s.keys : nullptr;
  softmax.bias_stride = s.keys;
  softmax.mask = o.mask ? o.mask + batch * o.mask_batch : nullptr;
  ck_softmax(run.engine->team.level, &softmax);

  averaged.set(place_a, weights);
  averaged.set(place_b, advanced(o.value, s.type, batch * o.value_batch + column));
  averaged.set(place_c, advanced(o.out, s.type, row * s.out_stride + column));
  averaged.set(place_scratch, own);
  return averaged.run(run.engine->stream);
}

std::unique_ptr<dn_attention> make(dn_engine &engine, const dn_attention_shape &s) {
  if (auto few = make_short_attention(s)) return few;
  if (auto packed = make_packed_attention(engine, s)) return packed;
  return make_plain_attention(engine, s);
}

void run_pieces(const void *context, ptrdiff_t begin, ptrdiff_t end, int32_t thread) {
  auto &run = *static_cast<AttentionRun *>(const_cast<void *>(context));
  int64_t pieces = run.attention->pieces_per_head(), heads = run.attention->shape.heads;
  for (ptrdiff_t item = begin; item < end; item++) {
    int64_t piece = run.operands->first_piece + item, head = piece / pieces;
    if (auto status = run.attention->run(run, head / heads, head % heads, piece % pieces, thread))
      run.status = status;
  }
}

}  // namespace

std::unique_ptr<dn_attention> sparsedit::make_plain_attention(
  dn_engine &engine, const dn_attention_shape &shape
) {
  return std::make_unique<PlainAttention>(engine, shape);
}

Key sparsedit::key(const dn_attention_shape &s) {
  return {s.batch, s.heads, s.queries, s.keys, s.width, s.query_stride, s.key_stride,
          s.value_stride, s.out_stride, s.type};
}

extern "C" dn_status dn_attention_prepare(
  dn_engine *engine, const dn_attention_shape *shape, dn_attention **attention,
  size_t *scratch_bytes
) {
  return engine->guarded("oneDNN attention", [&] {
    *attention = engine->attentions.get(key(*shape), [&] { return make(*engine, *shape); });
    *scratch_bytes = (*attention)->thread_bytes() * size_t(engine->team.threads);
  });
}

extern "C" int64_t dn_attention_pieces(const dn_attention *attention) {
  return attention->shape.batch * attention->shape.heads * attention->pieces_per_head();
}

extern "C" dn_status dn_attention_run(
  dn_engine *engine, dn_attention *attention, const dn_attention_operands *operands
) {
  const dn_attention_shape &s = attention->shape;
  double sizes = double(s.batch * s.heads * s.width) * double(s.queries * s.keys);
  int32_t threads = engine->threads_for(4 * sizes, ck_f32);
  return engine->guarded("oneDNN attention", [&] {
    AttentionRun run{engine, attention, operands};
    ck_parallel(engine->team, threads, ptrdiff_t(operands->pieces), run_pieces, &run);
    dnnl::error::wrap_c_api(run.status, "could not run");
  });
}
