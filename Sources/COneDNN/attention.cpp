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

dn_attention::Products products(dn_engine &engine, const dn_attention_shape &s, int64_t queries) {
  auto type = data_type(s.type);
  using dims = memory::dims;
  memory::desc query({queries, s.width}, type, dims{s.query_stride, 1});
  memory::desc key({s.width, s.keys}, type, dims{1, s.key_stride});
  memory::desc scores({queries, s.keys}, memory::data_type::f32, dims{s.keys, 1});
  memory::desc weights({queries, s.keys}, type, dims{s.keys, 1});
  memory::desc value({s.keys, s.width}, type, dims{s.value_stride, 1});
  memory::desc out({queries, s.width}, type, dims{s.out_stride, 1});
  return {
    product(engine, query, key, scores, {queries, s.width, s.keys}, s.type),
    product(engine, weights, value, out, {queries, s.keys, s.width}, s.type)};
}

/// What the scores of a piece, and the softmax of them in the type of V, are to fit into.
constexpr int64_t score_bytes = 512 << 10;
constexpr int64_t least_queries = 16;

int64_t bytes_per_score(ck_type type) { return type == ck_f32 ? 4 : 4 + int64_t(size_of(type)); }

std::unique_ptr<dn_attention> make(dn_engine &engine, const dn_attention_shape &s) {
  int64_t most = std::max(score_bytes / (s.keys * bytes_per_score(s.type)), least_queries);
  Split chunks(s.queries, most, least_queries);
  auto attention = std::unique_ptr<dn_attention>(new dn_attention{s, chunks, {}, {}, 0, 0, 0});
  attention->last = products(engine, s, chunks.last);
  if (chunks.count > 1) attention->full = products(engine, s, chunks.size);
  for (auto *made : {&attention->full, &attention->last})
    attention->own_bytes = std::max(
      {attention->own_bytes, made->scores.scratch_bytes, made->output.scratch_bytes});
  size_t scores = size_t(chunks.size) * size_t(s.keys);
  attention->scores_bytes = round_up(scores * sizeof(float));
  attention->weights_bytes = s.type == ck_f32 ? 0 : round_up(scores * size_of(s.type));
  return attention;
}

struct Run {
  const dn_engine *engine;
  dn_attention *attention;
  const dn_attention_operands *operands;
  std::atomic<dnnl_status_t> status{dnnl_success};
};

/// One head's chunk of queries.
dnnl_status_t run_piece(const Run &run, int64_t piece, int32_t thread) {
  dn_attention &attention = *run.attention;
  const dn_attention_operands &o = *run.operands;
  const dn_attention_shape &s = attention.shape;
  int64_t chunk = piece % attention.chunks.count, entry = piece / attention.chunks.count;
  int64_t head = entry % s.heads, batch = entry / s.heads;
  int64_t first = chunk * attention.chunks.size, rows = attention.chunks.at(chunk);
  auto &products = chunk == attention.chunks.count - 1 ? attention.last : attention.full;
  Operation &scored = products.scores[thread], &averaged = products.output[thread];

  char *scratch = static_cast<char *>(o.scratch) + size_t(thread) * attention.thread_bytes();
  void *scores = scratch;
  void *weights = s.type == ck_f32 ? scores : scratch + attention.scores_bytes;
  void *own = scratch + attention.scores_bytes + attention.weights_bytes;
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

void run_pieces(const void *context, ptrdiff_t begin, ptrdiff_t end, int32_t thread) {
  auto &run = *static_cast<Run *>(const_cast<void *>(context));
  for (ptrdiff_t piece = begin; piece < end; piece++)
    if (auto status = run_piece(run, run.operands->first_piece + piece, thread))
      run.status = status;
}

}  // namespace

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
  return attention->shape.batch * attention->shape.heads * attention->chunks.count;
}

extern "C" dn_status dn_attention_run(
  dn_engine *engine, dn_attention *attention, const dn_attention_operands *operands
) {
  const dn_attention_shape &s = attention->shape;
  double sizes = double(s.batch * s.heads * s.width) * double(s.queries * s.keys);
  int32_t threads = engine->threads_for(4 * sizes, ck_f32);
  return engine->guarded("oneDNN attention", [&] {
    Run run{engine, attention, operands};
    ck_parallel(engine->team, threads, ptrdiff_t(operands->pieces), run_pieces, &run);
    dnnl::error::wrap_c_api(run.status, "could not run");
  });
}
