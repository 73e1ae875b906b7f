#include "attention.hpp"

#include <algorithm>
#include <atomic>

using dnnl::memory;
using namespace sparsedit;

namespace {

enum place : size_t { place_a, place_b, place_c, place_scratch };

Operation product(
  const dnnl::engine &engine, const memory::desc &a, const memory::desc &b, const memory::desc &c,
  size_t &scratch_bytes
) {
  auto desc = matmul_desc(engine, a, b, nullptr, c, attributes({}));
  scratch_bytes = std::max(scratch_bytes, round_up(desc.scratchpad_desc().get_size()));
  Operation operation{dnnl::matmul(desc)};
  operation.add(DNNL_ARG_SRC, a, engine);
  operation.add(DNNL_ARG_WEIGHTS, b, engine);
  operation.add(DNNL_ARG_DST, c, engine);
  operation.add(DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc(), engine);
  return operation;
}

dn_attention::Products products(
  const dnnl::engine &engine, const dn_attention_shape &s, int64_t queries, size_t &scratch_bytes
) {
  auto type = data_type(s.type);
  using dims = memory::dims;
  memory::desc query({queries, s.width}, type, dims{s.query_stride, 1});
  memory::desc key({s.width, s.keys}, type, dims{1, s.key_stride});
  memory::desc scores({queries, s.keys}, memory::data_type::f32, dims{s.keys, 1});
  memory::desc weights({queries, s.keys}, type, dims{s.keys, 1});
  memory::desc value({s.keys, s.width}, type, dims{s.value_stride, 1});
  memory::desc out({queries, s.width}, type, dims{s.out_stride, 1});
  return {
    product(engine, query, key, scores, scratch_bytes),
    product(engine, weights, value, out, scratch_bytes)};
}

std::unique_ptr<dn_attention> make(const dn_engine &engine, const dn_attention_shape &s) {
  // Made for one thread each (see dn_attention_prepare): the pieces are what is shared out.
  const int64_t score_bytes = 512 << 10;
  auto attention = std::make_unique<dn_attention>();
  attention->shape = s;
  int64_t rows = std::max<int64_t>(score_bytes / (s.keys * int64_t(sizeof(float))), 16);
  attention->chunk = std::min(s.queries, rows);
  attention->chunks = (s.queries + attention->chunk - 1) / attention->chunk;
  int64_t rest = s.queries % attention->chunk;
  attention->own_bytes = 0;
  for (int thread = 0; thread < engine.team.threads; thread++) {
    attention->full.push_back(
      products(engine.engine, s, attention->chunk, attention->own_bytes));
    if (rest)
      attention->last.push_back(products(engine.engine, s, rest, attention->own_bytes));
  }
  size_t scores = size_t(attention->chunk) * size_t(s.keys);
  attention->scores_bytes = round_up(scores * sizeof(float));
  attention->weights_bytes = s.type == ck_f32 ? 0 : round_up(scores * 2);
  return attention;
}

struct Run {
  const dn_engine *engine;
  dn_attention *attention;
  const dn_attention_operands *operands;
  std::atomic<dnnl_status_t> status{dnnl_success};
};

template <class Pointer>
Pointer advanced(Pointer data, ck_type type, int64_t elements) {
  using Byte = std::conditional_t<
    std::is_const_v<std::remove_pointer_t<Pointer>>, const char *, char *>;
  return static_cast<Byte>(data) + elements * (type == ck_f32 ? 4 : 2);
}

/// One head's chunk of queries.
dnnl_status_t run_piece(const Run &run, int64_t piece, int32_t thread) {
  dn_attention &attention = *run.attention;
  const dn_attention_operands &o = *run.operands;
  const dn_attention_shape &s = attention.shape;
  int64_t chunk = piece % attention.chunks;
  int64_t head = piece / attention.chunks % s.heads, batch = piece / attention.chunks / s.heads;
  int64_t first = chunk * attention.chunk, rows = std::min(attention.chunk, s.queries - first);
  auto &products = rows == attention.chunk ? attention.full[thread] : attention.last[thread];

  char *scratch = static_cast<char *>(o.scratch) + size_t(thread) * attention.thread_bytes();
  void *scores = scratch;
  void *weights = s.type == ck_f32 ? scores : scratch + attention.scores_bytes;
  void *own = scratch + attention.scores_bytes + attention.weights_bytes;
  int64_t row = batch * s.queries + first, column = head * s.width;

  products.scores.set(place_a, advanced(o.query, s.type, row * s.query_stride + column));
  products.scores.set(place_b, advanced(o.key, s.type, batch * o.key_batch + column));
  products.scores.set(place_c, scores);
  products.scores.set(place_scratch, own);
  if (auto status = products.scores.run(run.engine->stream)) return status;

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

  products.output.set(place_a, weights);
  products.output.set(place_b, advanced(o.value, s.type, batch * o.value_batch + column));
  products.output.set(place_c, advanced(o.out, s.type, row * s.out_stride + column));
  products.output.set(place_scratch, own);
  return products.output.run(run.engine->stream);
}

void run_pieces(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  auto &run = *static_cast<Run *>(const_cast<void *>(context));
  int32_t thread = ck_thread_index();
  for (ptrdiff_t piece = begin; piece < end; piece++)
    if (auto status = run_piece(run, run.operands->first_piece + piece, thread)) {
      run.status = status;
      return;
    }
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
  return engine->guarded("oneDNN attention", 1, [&] {
    *attention = engine->attentions.get(key(*shape), [&] { return make(*engine, *shape); });
    *scratch_bytes = (*attention)->thread_bytes() * size_t(engine->team.threads);
  });
}

extern "C" int64_t dn_attention_pieces(const dn_attention *attention) {
  return attention->shape.batch * attention->shape.heads * attention->chunks;
}

extern "C" dn_status dn_attention_run(
  dn_engine *engine, dn_attention *attention, const dn_attention_operands *operands
) {
  const dn_attention_shape &s = attention->shape;
  double sizes = double(s.batch * s.heads * s.width) * double(s.queries * s.keys);
  int32_t threads = int32_t(std::min<int64_t>(engine->threads_for(4 * sizes), operands->pieces));
  return engine->guarded("oneDNN attention", threads, [&] {
    Run run{engine, attention, operands};
    ck_parallel(threads, ptrdiff_t(operands->pieces), run_pieces, &run);
    dnnl::error::wrap_c_api(run.status, "could not run");
  });
}
