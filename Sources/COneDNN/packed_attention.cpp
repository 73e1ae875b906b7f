#include <cstring>
#include <utility>

#include "attention.hpp"

using dnnl::memory;
using namespace sparsedit;

namespace {

enum place : size_t { place_a, place_b, place_c, place_scratch };

/// Queries that are scored at a time; and those that a piece has, for which it packs keys and values
/// once.
constexpr int64_t chunk_queries = 128, most_piece_queries = 512;
/// Bytes that packed keys and values of a block are to fit into, and averages of a piece's queries.
constexpr int64_t block_bytes = 512 << 10, average_bytes = 1 << 20;
constexpr int64_t most_block_keys = 1024;
/// With very wide heads a thread would need more than it may take.
constexpr size_t most_attention_bytes = 2 << 20;

int64_t up_to_multiple(int64_t count, int64_t of) { return (count + of - 1) / of * of; }

Split split_queries(const dn_attention_shape &s) {
  int64_t fitting = average_bytes / (s.width * int64_t(sizeof(float))) / chunk_queries * chunk_queries;
  int64_t most = std::clamp(fitting, chunk_queries, most_piece_queries);
  return {s.queries, most, chunk_queries, most};
}

Split split_keys(const dn_attention_shape &s) {
  int64_t inputs = up_to_multiple(s.width, packed_inputs);
  int64_t outputs = up_to_multiple(s.width, packed_columns);
  int64_t fitting = block_bytes / (2 * (inputs + outputs)) / packed_columns * packed_columns;
  int64_t most = std::clamp(fitting, packed_columns, most_block_keys);
  return {s.keys, most, packed_columns, most};
}

/// Attention block by block of keys, as in online softmax (arXiv 1805.02867): scores, their
/// exponentials beside the highest score so far, and what values these weigh, which is divided by the
/// sum of exponentials at the end.
struct PackedAttention : dn_attention {
  /// The two products of a chunk of queries and a block of keys.
  struct Products {
    Operations scores, average;
  };
  Split pieces, blocks;
  /// Queries of a chunk; the last one of a piece may have fewer.
  int64_t chunk;
  /// By queries, then by whether the block of keys is the last.
  std::map<int64_t, std::array<Products, 2>> products;
  size_t own_bytes = 0;

  explicit PackedAttention(const dn_attention_shape &s)
      : dn_attention(s), pieces(split_queries(s)), blocks(split_keys(s)),
        chunk(std::min(pieces.size, chunk_queries)) {}

  int64_t inputs() const { return up_to_multiple(shape.width, packed_inputs); }
  size_t key_bytes() const {
    return size_t(up_to_multiple(blocks.size, packed_columns) * inputs()) * 2;
  }
  size_t value_bytes() const {
    int64_t keys = up_to_multiple(blocks.size, packed_inputs);
    return size_t(keys * up_to_multiple(shape.width, packed_columns)) * 2;
  }
  size_t query_bytes() const { return size_t(chunk * inputs()) * 2; }
  size_t score_bytes() const {
    return size_t(chunk * up_to_multiple(blocks.size, packed_columns)) * sizeof(float);
  }
  size_t weight_bytes() const {
    return size_t(chunk * up_to_multiple(blocks.size, packed_inputs)) * 2;
  }
  size_t average_bytes() const { return size_t(pieces.size * shape.width) * sizeof(float); }
  size_t row_bytes() const { return size_t(pieces.size) * sizeof(float); }
  size_t mask_bytes() const {
    return size_t(up_to_multiple(blocks.size, packed_columns)) * sizeof(float);
  }

  int64_t pieces_per_head() const override { return pieces.count; }
  size_t thread_bytes() const override {
    return round_up(key_bytes()) + round_up(value_bytes()) + round_up(query_bytes())
           + round_up(score_bytes()) + round_up(weight_bytes()) + round_up(average_bytes())
           + 2 * round_up(row_bytes()) + round_up(mask_bytes()) + own_bytes;
  }
  dnnl_status_t run(
    const AttentionRun &run, int64_t batch, int64_t head, int64_t piece, int32_t thread) override;

  bool make(dn_engine &engine);
  bool make_products(dn_engine &engine, int64_t queries, bool is_last);
};

/// The product, if oneDNN has a kernel for it that reads packed operands as they are.
bool make_product(
  dn_engine &engine, const memory::desc &a, const memory::desc &b, const memory::desc &c, bool adds,
  Operations &made
) {
  dnnl::post_ops operations;
  if (adds) operations.append_sum();
  dnnl::matmul::primitive_desc desc;
  try {
    desc = matmul_desc(engine.engine, a, b, nullptr, c, attributes(operations));
  } catch (const dnnl::error &error) {
    if (error.status == dnnl_unimplemented) return false;
    throw;
  }
  if (std::string(desc.impl_info_str()).rfind("brg", 0) != 0) return false;
  Operation operation{dnnl::matmul(desc)};
  operation.add(DNNL_ARG_SRC, a, engine.engine);
  operation.add(DNNL_ARG_WEIGHTS, b, engine.engine);
  operation.add(DNNL_ARG_DST, c, engine.engine);
  operation.add(DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc(), engine.engine);
  engine.note_kernel(
    "attention", {a.dims()[0], a.dims()[1], b.dims()[1]}, ck_bf16, desc.impl_info_str());
  made = {std::move(operation), desc.scratchpad_desc().get_size(), engine.team.threads};
  return true;
}

bool PackedAttention::make_products(dn_engine &engine, int64_t queries, bool is_last) {
  const auto f32 = memory::data_type::f32, bf16 = memory::data_type::bf16;
  const auto rows = memory::format_tag::ab;
  int64_t keys = is_last ? blocks.last : blocks.size;
  int64_t columns = up_to_multiple(keys, packed_columns), inputs = up_to_multiple(keys, packed_inputs);
  Products &made = products[queries][is_last];
  bool both =
    make_product(
      engine, {{queries, this->inputs()}, bf16, rows}, packed_weights(this->inputs(), columns),
      {{queries, columns}, f32, rows}, false, made.scores)
    && make_product(
      engine, {{queries, inputs}, bf16, rows}, packed_weights(inputs, shape.width),
      {{queries, shape.width}, f32, rows}, blocks.count > 1, made.average);
  own_bytes = std::max({own_bytes, made.scores.scratch_bytes, made.average.scratch_bytes});
  return both;
}

bool PackedAttention::make(dn_engine &engine) {
  std::set<int64_t> sizes;
  for (int64_t piece : {pieces.count > 1 ? pieces.size : pieces.last, pieces.last}) {
    if (piece >= chunk) sizes.insert(chunk);
    if (piece % chunk) sizes.insert(piece % chunk);
  }
  for (int64_t queries : sizes) {
    if (blocks.count > 1 && !make_products(engine, queries, false)) return false;
    if (!make_products(engine, queries, true)) return false;
  }
  return true;
}

/// Where a thread's scratch memory holds what.
struct Scratch {
  char *keys, *values, *queries, *scores, *weights, *averages, *tops, *sums, *mask, *own;

  Scratch(const PackedAttention &a, char *base) {
    auto take = [&](size_t bytes) { return std::exchange(base, base + round_up(bytes)); };
    keys = take(a.key_bytes());
    values = take(a.value_bytes());
    queries = take(a.query_bytes());
    scores = take(a.score_bytes());
    weights = take(a.weight_bytes());
    averages = take(a.average_bytes());
    tops = take(a.row_bytes());
    sums = take(a.row_bytes());
    mask = take(a.mask_bytes());
    own = base;
  }
};

/// Copies rows of `width` into rows of `inputs`, with zeros behind.
void copy_queries(const dn_attention_shape &s, const void *from, int64_t rows, int64_t inputs, char *to) {
  size_t bytes = size_t(s.width) * 2, rest = size_t(inputs - s.width) * 2;
  for (int64_t row = 0; row < rows; row++) {
    std::memcpy(to, advanced(from, s.type, row * s.query_stride), bytes);
    std::memset(to + bytes, 0, rest);
    to += bytes + rest;
  }
}

dnnl_status_t PackedAttention::run(
  const AttentionRun &run, int64_t batch, int64_t head, int64_t piece, int32_t thread
) {
  const dn_attention_operands &o = *run.operands;
  const dn_attention_shape &s = shape;
  const ck_level level = run.engine->team.level;
  Scratch scratch(*this, static_cast<char *>(o.scratch) + size_t(thread) * thread_bytes());
  int64_t first = piece * pieces.size, count = pieces.at(piece), column = head * s.width;

  ck_weigh_arguments weigh = {};
  weigh.scale = o.scale;
  weigh.bias_stride = s.keys;
  weigh.width = s.width;
  if (blocks.count > 1) std::memset(scratch.averages, 0, average_bytes());
  for (int64_t block = 0; block < blocks.count; block++) {
    int64_t key = block * blocks.size, keys = blocks.at(block);
    const void *key_rows = advanced(o.key, s.type, batch * o.key_batch + key * s.key_stride + column);
    const void *value_rows =
      advanced(o.value, s.type, batch * o.value_batch + key * s.value_stride + column);
    ck_pack_rows_as_columns(
      level, {const_cast<void *>(key_rows), s.key_stride, s.type}, keys, s.width, scratch.keys);
    ck_pack_rows(
      level, {const_cast<void *>(value_rows), s.value_stride, s.type}, keys, s.width, scratch.values);
    int64_t columns = up_to_multiple(keys, packed_columns);
    weigh.columns = keys;
    weigh.padded_columns = up_to_multiple(keys, packed_inputs);
    weigh.x = {scratch.scores, columns, ck_f32};
    weigh.out = {scratch.weights, weigh.padded_columns, ck_bf16};
    auto *mask = reinterpret_cast<float *>(scratch.mask);
    bool masks = o.mask || keys % packed_inputs != 0;
    if (masks)
      ck_prepare_mask(level, o.mask ? o.mask + batch * o.mask_batch + key : nullptr, keys, mask);
    weigh.mask = masks ? mask : nullptr;
    weigh.is_first = block == 0;
    for (int64_t begin = 0; begin < count; begin += chunk) {
      int64_t query = first + begin, rows = std::min(chunk, count - begin);
      Products &made = products.at(rows)[block == blocks.count - 1];
      Operation &scored = made.scores[thread], &averaged = made.average[thread];
      char *average = scratch.averages + size_t(begin * s.width) * sizeof(float);
      copy_queries(
        s, advanced(o.query, s.type, (batch * s.queries + query) * s.query_stride + column), rows,
        inputs(), scratch.queries);
      scored.set(place_a, scratch.queries);
      scored.set(place_b, scratch.keys);
      scored.set(place_c, scratch.scores);
      scored.set(place_scratch, scratch.own);
      if (auto status = scored.run(run.engine->stream)) return status;

      weigh.rows = rows;
      weigh.bias = o.bias ? o.bias + (head * s.queries + query) * s.keys + key : nullptr;
      weigh.top = reinterpret_cast<float *>(scratch.tops) + begin;
      weigh.sum = reinterpret_cast<float *>(scratch.sums) + begin;
      weigh.average = {average, s.width, ck_f32};
      ck_weigh(level, &weigh);

      averaged.set(place_a, scratch.weights);
      averaged.set(place_b, scratch.values);
      averaged.set(place_c, average);
      averaged.set(place_scratch, scratch.own);
      if (auto status = averaged.run(run.engine->stream)) return status;
    }
  }
  void *out = advanced(o.out, s.type, (batch * s.queries + first) * s.out_stride + column);
  ck_divide_rows(
    level, {scratch.averages, s.width, ck_f32}, reinterpret_cast<float *>(scratch.sums),
    {out, s.out_stride, s.type}, count, s.width);
  return dnnl_success;
}

}  // namespace

std::unique_ptr<dn_attention> sparsedit::make_packed_attention(
  dn_engine &engine, const dn_attention_shape &shape
) {
  if (shape.type != ck_bf16) return nullptr;
  auto attention = std::make_unique<PackedAttention>(shape);
  if (attention->thread_bytes() > most_attention_bytes || !attention->make(engine)) return nullptr;
  return attention;
}
