#include "linear.hpp"

using dnnl::memory;
using namespace sparsedit;

namespace {

/// Places of the operands that every linear layer has; optional ones follow in this order:
/// bias, gate, factor.
enum place : size_t { place_a, place_b, place_c, place_scratch, place_optional };

/// Rows of a block: the weights that oneDNN reorders for it, or that are expanded for it, serve that many.
/// With fewer, the weights of a large model are read from memory once more. oneDNN's general product may
/// keep a whole block in f32 besides, so there it has fewer. Packed weights are only read: there, where rows
/// are many, blocks are of a size that AMX tiles fill.
constexpr int64_t most_rows = 512, general_rows = 256, packed_rows = 128, packed_step = 64;
/// Blocks that there should be at least, for as many threads to have some each, and how many blocks
/// of rows alone are enough. Packed weights are read in one go where a block has all columns, and there
/// oneDNN writes the result itself: such blocks are worth having fewer of.
constexpr int64_t fair_blocks = 16, fair_packed_blocks = 8, enough_row_blocks = 4;
/// Elements of weights that are expanded at a time, and of a product that is finished by our own
/// kernel: both are to stay in a core's cache. The latter may be twice as many where that is even.
constexpr int64_t panel_elements = 256 << 10, product_elements = 128 << 10;

/// Columns of a block of packed weights, unless it has all: with more, oneDNN takes its inputs in parts.
constexpr int64_t most_packed_columns = 256;

/// Sizes of blocks are multiples of it: a vector register.
constexpr int64_t step = 16;
/// Fewer columns than this are not worth a block.
constexpr int64_t least_columns = 32;

/// Whole columns of weights that fit into a panel.
int64_t panel_columns(int64_t inputs) { return panel_elements / inputs; }

Split split_rows(const dn_linear_shape &s, int64_t most) {
  if (s.packed && s.rows > 2 * packed_rows) return {s.rows, packed_rows, packed_step, packed_rows};
  return {s.rows, std::min(s.rows, s.weight_type == s.input_type ? most : general_rows), step};
}

/// Columns of a block. Where blocks of rows alone are too few, a power of two of parts, so that few
/// threads have equal shares.
Split split_columns(const dn_linear_shape &s, const Split &rows) {
  double block = 2.0 * double(rows.size) * double(s.inputs) * double(s.outputs);
  int64_t fair = s.packed ? fair_packed_blocks : fair_blocks, parts = 1;
  bool isSmall = rows.size < most_rows;
  int64_t wanted = isSmall && rows.count >= enough_row_blocks ? 1 : fair / rows.count;
  while (2 * parts <= wanted && s.outputs / (2 * parts) >= least_columns
         && block / double(2 * parts) >= least_operations(s.input_type))
    parts *= 2;
  int64_t columns = (s.outputs + parts - 1) / parts;
  if (s.packed) {
    if (parts > 1) columns = std::min(columns, most_packed_columns);
    return {s.outputs, columns, packed_columns, columns + packed_columns - 1};
  }
  if (s.weight_type == s.input_type) return {s.outputs, columns, step};
  return {s.outputs, columns, step, panel_columns(s.inputs)};
}

/// The same columns where a block is finished by our own kernel.
Split split_product(const dn_linear_shape &s, const Split &rows, const Split &columns) {
  int64_t wanted = product_elements / rows.size;
  int64_t most = s.weight_type == s.input_type ? 2 * wanted : std::min(wanted, columns.size);
  return {s.outputs, std::min(columns.size, wanted), s.packed ? packed_columns : step, most};
}

struct Description {
  int64_t rows, columns;
  dnnl::matmul::primitive_desc desc;
  memory::desc a, b, c, row, factor;
  int gate_index, factor_index;

  /// Whether this is a kernel to choose: not reference code, and for bf16 none that works through a
  /// copy of the result in f32.
  bool is_fast(ck_type type) const { return !is("ref") && (type == ck_f32 || !is("gemm")); }
  /// Whether the kernel's name begins so.
  bool is(const char *name) const { return std::string(desc.impl_info_str()).rfind(name, 0) == 0; }
};

/// The product of a block; `activates` where our own kernel applies the activation. Without `fused`,
/// into contiguous f32 rows, as far as the activation.
Description describe(
  const dnnl::engine &engine, const dn_linear_shape &s, int64_t rows, int64_t columns, bool fused,
  bool activates
) {
  auto type = data_type(s.input_type), out = fused ? data_type(s.output_type) : data_type(ck_f32);
  int64_t b_stride = s.weight_type == s.input_type ? s.b_stride : s.inputs;
  int64_t c_stride = fused ? s.c_stride : columns;
  Description d;
  d.rows = rows;
  d.columns = columns;
  d.a = {{rows, s.inputs}, type, memory::dims{s.a_stride, 1}};
  d.b = s.packed ? packed_weights(s.inputs, columns)
                 : memory::desc({s.inputs, columns}, type, memory::dims{1, b_stride});
  d.c = {{rows, columns}, out, memory::dims{c_stride, 1}};
  d.row = {{1, columns}, memory::data_type::f32, memory::format_tag::ab};
  d.factor = {{rows, columns}, data_type(s.factor_type), memory::dims{s.factor_stride, 1}};
  dnnl::post_ops operations;
  if (!activates) append(operations, s.activation);
  d.gate_index = operations.len();
  if (fused && s.gate) operations.append_binary(dnnl::algorithm::binary_mul, d.row);
  d.factor_index = operations.len();
  if (fused && s.factor) operations.append_binary(dnnl::algorithm::binary_mul, d.factor);
  if (fused && s.residual) operations.append_sum();
  d.desc = matmul_desc(engine, d.a, d.b, s.bias ? &d.row : nullptr, d.c, attributes(operations));
  return d;
}

Operations operations(
  dn_engine &engine, const dn_linear_shape &s, const Description &d, bool fused
) {
  Operation operation{dnnl::matmul(d.desc)};
  operation.add(DNNL_ARG_SRC, d.a, engine.engine);
  operation.add(DNNL_ARG_WEIGHTS, d.b, engine.engine);
  operation.add(DNNL_ARG_DST, d.c, engine.engine);
  operation.add(DNNL_ARG_SCRATCHPAD, d.desc.scratchpad_desc(), engine.engine);
  if (s.bias) operation.add(DNNL_ARG_BIAS, d.row, engine.engine);
  if (fused && s.gate)
    operation.add(
      DNNL_ARG_ATTR_MULTIPLE_POST_OP(d.gate_index) | DNNL_ARG_SRC_1, d.row, engine.engine);
  if (fused && s.factor)
    operation.add(
      DNNL_ARG_ATTR_MULTIPLE_POST_OP(d.factor_index) | DNNL_ARG_SRC_1, d.factor, engine.engine);
  engine.note_kernel(
    "linear", {d.rows, s.inputs, d.columns}, s.input_type, d.desc.impl_info_str());
  return {std::move(operation), d.desc.scratchpad_desc().get_size(), engine.team.threads};
}

/// Whether our own kernel is to apply the activation: oneDNN's general product does so in a pass of its
/// own as well, a slow one below AVX-512.
bool applies_activation(const dn_linear_shape &s, const Description &whole) {
  bool has_kernel = s.activation == dn_gelu_tanh || s.activation == dn_silu;
  bool is_last = !s.gate && !s.factor && !s.residual && s.output_type == ck_f32;
  return has_kernel && is_last && whole.is("gemm");
}

std::unique_ptr<dn_linear> make(dn_engine &engine, const dn_linear_shape &s) {
  Split rows = split_rows(s, most_rows), columns = split_columns(s, rows);
  Description whole = describe(engine.engine, s, rows.size, columns.size, true, false);
  if (whole.is("gemm")) {
    rows = split_rows(s, general_rows);
    columns = split_columns(s, rows);
    whole = describe(engine.engine, s, rows.size, columns.size, true, false);
  }
  bool fused = whole.is_fast(s.input_type), activates = applies_activation(s, whole);
  if (!fused) columns = split_product(s, rows, columns);
  auto linear = std::unique_ptr<dn_linear>(new dn_linear{s, rows, columns, fused, activates, 1, {}});
  linear->threads = engine.threads_for(
    2.0 * double(s.rows) * double(s.inputs * s.outputs), s.input_type);
  for (int last_row = 0; last_row < 2; last_row++)
    for (int last_column = 0; last_column < 2; last_column++) {
      bool exists = (last_row || rows.count > 1) && (last_column || columns.count > 1);
      if (!exists) continue;
      int64_t height = last_row ? rows.last : rows.size;
      int64_t width = last_column ? columns.last : columns.size;
      Operations &made = linear->products[last_row][last_column];
      made = operations(engine, s, describe(engine.engine, s, height, width, fused, activates), fused);
      linear->own_bytes = std::max(linear->own_bytes, made.scratch_bytes);
    }
  if (linear->expands())
    linear->panel_bytes = round_up(size_t(columns.size * s.inputs) * sizeof(float));
  if (!fused) linear->product_bytes = round_up(size_t(rows.size * columns.size) * sizeof(float));
  return linear;
}

struct Run {
  dn_engine *engine;
  dn_linear *linear;
  const dn_linear_operands *operands;
  std::atomic<dnnl_status_t> status{dnnl_success};

  char *scratch(int32_t thread) const {
    return static_cast<char *>(operands->scratch) + size_t(thread) * linear->thread_bytes();
  }
  /// Which column block's weights lie expanded in a thread's scratch memory, −1 for none.
  int64_t &expanded(int32_t thread) const { return *reinterpret_cast<int64_t *>(scratch(thread)); }
};

/// The weights of a column block as the product reads them.
const void *weights(const Run &run, int64_t column_block, int64_t columns, int32_t thread) {
  const dn_linear &linear = *run.linear;
  const dn_linear_shape &s = linear.shape;
  int64_t first = column_block * linear.columns.size;
  // Packed columns lie together, each of `inputs` elements as well.
  int64_t stride = s.packed ? s.inputs : s.b_stride;
  const void *given = advanced(run.operands->b, s.weight_type, first * stride);
  if (!linear.expands()) return given;
  void *panel = run.scratch(thread) + dn_linear::header_bytes;
  if (run.expanded(thread) != column_block) {
    ck_convert(
      run.engine->team.level, {const_cast<void *>(given), s.b_stride, s.weight_type},
      {panel, s.inputs, ck_f32}, columns, s.inputs);
    run.expanded(thread) = column_block;
  }
  return panel;
}

ck_activation activation(const dn_linear &linear) {
  if (!linear.activates) return ck_identity;
  return linear.shape.activation == dn_silu ? ck_sigmoid_linear : ck_gelu_tanh;
}

/// Applies to a block what the product could not take along.
void finish(
  const Run &run, const void *product, int64_t stride, void *out, const void *factor, int64_t rows,
  int64_t columns, int64_t first_column
) {
  const dn_linear_shape &s = run.linear->shape;
  ck_finish_arguments a = {};
  a.activation = activation(*run.linear);
  a.y = {const_cast<void *>(product), stride, ck_f32};
  a.out = {out, s.c_stride, s.output_type};
  if (factor) a.factor = {const_cast<void *>(factor), s.factor_stride, s.factor_type};
  a.rows = rows;
  a.columns = columns;
  if (s.gate) a.gate = run.operands->gate + first_column;
  a.residual = s.residual;
  ck_finish(run.engine->team.level, &a);
}

dnnl_status_t run_block(const Run &run, int64_t block, int32_t thread) {
  dn_linear &linear = *run.linear;
  const dn_linear_shape &s = linear.shape;
  const dn_linear_operands &o = *run.operands;
  // Blocks of the same columns follow each other, so that a thread uses expanded weights again.
  int64_t row_block = block % linear.rows.count, column_block = block / linear.rows.count;
  int64_t row = row_block * linear.rows.size, column = column_block * linear.columns.size;
  int64_t rows = linear.rows.at(row_block), columns = linear.columns.at(column_block);
  bool last_row = row_block == linear.rows.count - 1;
  bool last_column = column_block == linear.columns.count - 1;
  Operation &operation = linear.products[last_row][last_column][thread];

  void *out = advanced(o.c, s.output_type, row * s.c_stride + column);
  const void *factor =
    o.factor ? advanced(o.factor, s.factor_type, row * s.factor_stride + column) : nullptr;
  char *product = run.scratch(thread) + dn_linear::header_bytes + linear.panel_bytes;
  operation.set(place_a, advanced(o.a, s.input_type, row * s.a_stride));
  operation.set(place_b, weights(run, column_block, columns, thread));
  operation.set(place_c, linear.fused ? out : product);
  operation.set(place_scratch, product + linear.product_bytes);
  size_t next = place_optional;
  if (s.bias) operation.set(next++, o.bias + column);
  if (linear.fused && s.gate) operation.set(next++, o.gate + column);
  if (linear.fused && s.factor) operation.set(next++, factor);
  auto status = operation.run(run.engine->stream);
  if (status != dnnl_success) return status;
  if (!linear.fused) finish(run, product, columns, out, factor, rows, columns, column);
  else if (linear.activates) finish(run, out, s.c_stride, out, nullptr, rows, columns, column);
  return status;
}

void run_blocks(const void *context, ptrdiff_t begin, ptrdiff_t end, int32_t thread) {
  auto &run = *static_cast<Run *>(const_cast<void *>(context));
  for (ptrdiff_t block = begin; block < end; block++)
    if (auto status = run_block(run, block, thread)) run.status = status;
}

}  // namespace

Key sparsedit::key(const dn_linear_shape &s) {
  return {s.rows, s.inputs, s.outputs, s.a_stride, s.b_stride, s.c_stride, s.factor_stride,
          s.input_type, s.weight_type, s.output_type, s.factor_type, s.activation, s.bias, s.gate,
          s.factor, s.residual, s.packed};
}

extern "C" dn_status dn_linear_prepare(
  dn_engine *engine, const dn_linear_shape *shape, dn_linear **linear, size_t *scratch_bytes
) {
  return engine->guarded("oneDNN matmul", [&] {
    *linear = engine->linears.get(key(*shape), [&] { return make(*engine, *shape); });
    *scratch_bytes = (*linear)->thread_bytes() * size_t(engine->team.threads);
  });
}

extern "C" dn_status dn_linear_run(
  dn_engine *engine, dn_linear *linear, const dn_linear_operands *operands
) {
  return engine->guarded("oneDNN matmul", [&] {
    Run run{engine, linear, operands};
    for (int32_t thread = 0; linear->expands() && thread < engine->team.threads; thread++)
      run.expanded(thread) = -1;
    ck_parallel(
      engine->team, linear->threads, ptrdiff_t(linear->rows.count * linear->columns.count),
      run_blocks, &run);
    dnnl::error::wrap_c_api(run.status, "could not run");
  });
}
