#include "convolution.hpp"

#include <cstring>

using dnnl::memory;
using namespace sparsedit;

namespace {

enum place : size_t { place_x, place_weights, place_out, place_scratch, place_bias };
enum pack_place : size_t { pack_from, pack_to, pack_scratch };

/// Bands that there should be at least, for as many threads to have some each.
constexpr int64_t fair_bands = 16;
/// What a band reads is to fit into this: it may have to be copied, see dn_convolution.
constexpr int64_t most_band_bytes = 4 << 20;
/// Output channels whose weights one thread puts in order at a time.
constexpr int64_t pack_channels = 64;

dnnl::convolution_forward::primitive_desc describe(
  const dnnl::engine &engine, const dn_convolution_shape &s, const memory::desc &x,
  const memory::desc &weights, const memory::desc *bias, const memory::desc &out
) {
  dnnl::post_ops operations;
  if (s.residual) operations.append_sum();
  auto attr = attributes(operations);
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto algorithm = dnnl::algorithm::convolution_direct;
  memory::dims strides{s.stride, s.stride}, padding{0, s.padding};
#if DNNL_VERSION_MAJOR >= 3
  if (bias)
    return {engine, kind, algorithm, x, weights, *bias, out, strides, padding, padding, attr};
  return {engine, kind, algorithm, x, weights, out, strides, padding, padding, attr};
#else
  if (bias)
    return {{kind, algorithm, x, weights, *bias, out, strides, padding, padding}, attr, engine};
  return {{kind, algorithm, x, weights, out, strides, padding, padding}, attr, engine};
#endif
}

int64_t out_size(int64_t size, int64_t kernel, const dn_convolution_shape &s) {
  return (size + 2 * s.padding - kernel) / s.stride + 1;
}

int64_t rows_read(const dn_convolution_shape &s, int64_t out_rows) {
  return (out_rows - 1) * s.stride + s.kernel_height;
}

double operations_per_row(const dn_convolution_shape &s) {
  double kernel = double(s.inputs * s.outputs) * double(s.kernel_height * s.kernel_width);
  return 2 * kernel * double(out_size(s.width, s.kernel_width, s));
}

int64_t rows_per_band(const dn_convolution_shape &s) {
  int64_t height = out_size(s.height, s.kernel_height, s), fair = height * s.batch / fair_bands;
  // With more padding than a row others than the first and the last band might need a copy.
  if (s.padding > 1) return height;
  int64_t worthwhile = int64_t(least_operations(s.input_type) / operations_per_row(s));
  int64_t fitting = most_band_bytes / (s.width * s.inputs * int64_t(size_of(s.input_type)));
  return std::max(std::min(std::max(fair, worthwhile), fitting), int64_t(1));
}

memory::desc given_weights(const dn_convolution_shape &s, int64_t outputs) {
  memory::dims sizes{outputs, s.inputs, s.kernel_height, s.kernel_width};
  return {sizes, data_type(s.input_type), memory::format_tag::oihw};
}

/// The convolution of a band of `rows`. The first one decides the order of the weights.
Operations band(
  dn_engine &engine, const dn_convolution &c, int64_t rows, memory::desc &weights
) {
  using tag = memory::format_tag;
  const dn_convolution_shape &s = c.shape;
  auto type = data_type(s.input_type);
  memory::desc x({1, s.inputs, rows_read(s, rows), s.width}, type, tag::nhwc);
  memory::desc bias({s.outputs}, memory::data_type::f32, tag::a);
  memory::desc out({1, s.outputs, rows, c.out_width}, data_type(s.output_type), tag::nhwc);
  auto desc = describe(engine.engine, s, x, weights, s.bias ? &bias : nullptr, out);
  weights = desc.weights_desc();
  Operation operation{dnnl::convolution_forward(desc)};
  operation.add(DNNL_ARG_SRC, x, engine.engine);
  operation.add(DNNL_ARG_WEIGHTS, weights, engine.engine);
  operation.add(DNNL_ARG_DST, out, engine.engine);
  operation.add(DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc(), engine.engine);
  if (s.bias) operation.add(DNNL_ARG_BIAS, bias, engine.engine);
  int64_t inputs = s.inputs * s.kernel_height * s.kernel_width;
  engine.note_kernel(
    "convolution", {rows * c.out_width, inputs, s.outputs}, s.input_type, desc.impl_info_str());
  return {std::move(operation), desc.scratchpad_desc().get_size(), engine.team.threads};
}

Operations pack(dn_engine &engine, const memory::desc &from, const memory::desc &to) {
  dnnl::reorder::primitive_desc desc(engine.engine, from, engine.engine, to, attributes({}));
  Operation operation{dnnl::reorder(desc)};
  operation.add(DNNL_ARG_FROM, from, engine.engine);
  operation.add(DNNL_ARG_TO, to, engine.engine);
  operation.add(DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc(), engine.engine);
  return {std::move(operation), desc.scratchpad_desc().get_size(), engine.team.threads};
}

/// The weights of some output channels inside `whole`, to be written from their own first element on,
/// and where that lies. False where they cannot be written apart from others.
bool part_of(
  const memory::desc &whole, int64_t first, int64_t count, memory::desc &part, size_t &offset
) {
#if DNNL_VERSION_MAJOR >= 3
  return false;
#else
  try {
    memory::dims sizes = whole.dims(), start(sizes.size(), 0);
    sizes[0] = count;
    start[0] = first;
    part = whole.submemory_desc(sizes, start);
    offset = size_t(part.data.offset0 - whole.data.offset0);
    part.data.offset0 = whole.data.offset0;
    return true;
  } catch (const dnnl::error &) {
    return false;
  }
#endif
}

/// How the weights get into the order `wanted`: by blocks of output channels where that can be.
void make_pack(dn_engine &engine, dn_convolution &c, const memory::desc &wanted) {
  const dn_convolution_shape &s = c.shape;
  if (wanted == given_weights(s, s.outputs)) return;
  c.packed_bytes = round_up(wanted.get_size());
  std::vector<size_t> offsets;
  memory::desc part, last;
  for (int64_t block = 0; block < c.channels.count; block++) {
    size_t offset;
    memory::desc &made = block == c.channels.count - 1 ? last : part;
    if (!part_of(wanted, block * c.channels.size, c.channels.at(block), made, offset)) break;
    offsets.push_back(offset * size_of(s.input_type));
  }
  if (int64_t(offsets.size()) != c.channels.count) {
    c.channels = Split(s.outputs, s.outputs, 1);
    last = wanted;
    offsets = {0};
  }
  c.packed_offsets = std::move(offsets);
  c.pack_last = pack(engine, given_weights(s, c.channels.last), last);
  if (c.channels.count > 1) c.pack_full = pack(engine, given_weights(s, c.channels.size), part);
}

std::unique_ptr<dn_convolution> make(dn_engine &engine, const dn_convolution_shape &s) {
  int64_t height = out_size(s.height, s.kernel_height, s);
  int64_t width = out_size(s.width, s.kernel_width, s);
  Split bands(height, rows_per_band(s), 1), channels(s.outputs, pack_channels, pack_channels);
  auto made = std::unique_ptr<dn_convolution>(
    new dn_convolution{s, height, width, bands, 1, {}, {}, {}, {}, channels, {}});
  made->threads = engine.threads_for(operations_per_row(s) * double(height * s.batch), s.input_type);
  memory::desc weights(
    {s.outputs, s.inputs, s.kernel_height, s.kernel_width}, data_type(s.input_type),
    memory::format_tag::any);
  if (bands.count > 1) made->full = band(engine, *made, bands.size, weights);
  made->last = band(engine, *made, bands.last, weights);
  make_pack(engine, *made, weights);
  for (auto *operations : {&made->full, &made->last, &made->pack_full, &made->pack_last})
    made->own_bytes = std::max(made->own_bytes, operations->scratch_bytes);
  if (s.padding > 0)
    made->band_bytes = round_up(
      size_t(rows_read(s, bands.size) * s.width * s.inputs) * size_of(s.input_type));
  return made;
}

struct Run {
  dn_engine *engine;
  dn_convolution *convolution;
  const dn_convolution_operands *operands;
  std::atomic<dnnl_status_t> status{dnnl_success};

  char *packed() const { return static_cast<char *>(operands->scratch); }
  /// Where the first or the last band of a picture is copied to.
  char *copy(int64_t picture, bool is_last) const {
    return packed() + convolution->packed_bytes
           + size_t(convolution->copies() * picture + (is_last && convolution->copies() > 1))
               * convolution->band_bytes;
  }
  char *own(int32_t thread) const {
    return copy(convolution->shape.batch, false) + size_t(thread) * convolution->own_bytes;
  }
};

dnnl_status_t pack_block(const Run &run, int64_t block, int32_t thread) {
  dn_convolution &c = *run.convolution;
  const dn_convolution_shape &s = c.shape;
  int64_t row = s.inputs * s.kernel_height * s.kernel_width;
  Operation &pack = (block == c.channels.count - 1 ? c.pack_last : c.pack_full)[thread];
  pack.set(pack_from, advanced(run.operands->weights, s.input_type, block * c.channels.size * row));
  pack.set(pack_to, run.packed() + c.packed_offsets[size_t(block)]);
  pack.set(pack_scratch, run.own(thread));
  return pack.run(run.engine->stream);
}

/// `rows` rows of a picture from row `first`, with zeros for those outside of it: where they lie, or
/// as a copy in `copy`.
const void *rows_of(
  const dn_convolution_shape &s, const void *picture, int64_t first, int64_t rows, char *copy
) {
  int64_t row = s.width * s.inputs;
  if (first >= 0 && first + rows <= s.height) return advanced(picture, s.input_type, first * row);
  size_t row_bytes = size_t(row) * size_of(s.input_type);
  int64_t begin = std::max<int64_t>(first, 0), end = std::min(first + rows, s.height);
  char *inside = copy + size_t(begin - first) * row_bytes;
  size_t inside_bytes = size_t(end - begin) * row_bytes;
  std::memset(copy, 0, size_t(begin - first) * row_bytes);
  std::memcpy(inside, advanced(picture, s.input_type, begin * row), inside_bytes);
  std::memset(inside + inside_bytes, 0, size_t(first + rows - end) * row_bytes);
  return copy;
}

dnnl_status_t run_band(const Run &run, int64_t item, int32_t thread) {
  dn_convolution &c = *run.convolution;
  const dn_convolution_shape &s = c.shape;
  const dn_convolution_operands &o = *run.operands;
  int64_t band = item % c.bands.count, picture = item / c.bands.count;
  int64_t first = band * c.bands.size, rows = rows_read(s, c.bands.at(band));
  const void *x = advanced(o.x, s.input_type, picture * s.height * s.width * s.inputs);
  bool is_last = band == c.bands.count - 1;
  Operation &convolution = (is_last ? c.last : c.full)[thread];
  char *copy = run.copy(picture, is_last);
  convolution.set(place_x, rows_of(s, x, first * s.stride - s.padding, rows, copy));
  convolution.set(place_weights, c.packs() ? run.packed() : o.weights);
  int64_t out_row = picture * c.out_height + first;
  convolution.set(place_out, advanced(o.out, s.output_type, out_row * c.out_width * s.outputs));
  convolution.set(place_scratch, run.own(thread));
  if (s.bias) convolution.set(place_bias, o.bias);
  return convolution.run(run.engine->stream);
}

template <dnnl_status_t (*part)(const Run &, int64_t, int32_t)>
void run_parts(const void *context, ptrdiff_t begin, ptrdiff_t end, int32_t thread) {
  auto &run = *static_cast<Run *>(const_cast<void *>(context));
  for (ptrdiff_t item = begin; item < end; item++)
    if (auto status = part(run, item, thread)) run.status = status;
}

}  // namespace

Key sparsedit::key(const dn_convolution_shape &s) {
  return {s.batch, s.height, s.width, s.inputs, s.outputs, s.kernel_height, s.kernel_width,
          s.stride, s.padding, s.input_type, s.output_type, s.bias, s.residual};
}

extern "C" dn_status dn_convolution_prepare(
  dn_engine *engine, const dn_convolution_shape *shape, dn_convolution **convolution,
  size_t *scratch_bytes
) {
  return engine->guarded("oneDNN convolution", [&] {
    *convolution = engine->convolutions.get(key(*shape), [&] { return make(*engine, *shape); });
    const dn_convolution &c = **convolution;
    *scratch_bytes = c.packed_bytes + size_t(c.copies() * c.shape.batch) * c.band_bytes
                     + c.own_bytes * size_t(engine->team.threads);
  });
}

extern "C" dn_status dn_convolution_run(
  dn_engine *engine, dn_convolution *convolution, const dn_convolution_operands *operands
) {
  return engine->guarded("oneDNN convolution", [&] {
    Run run{engine, convolution, operands};
    const dn_convolution &c = *convolution;
    if (c.packs())
      ck_parallel(
        engine->team, c.threads, ptrdiff_t(c.channels.count), run_parts<pack_block>, &run);
    dnnl::error::wrap_c_api(run.status, "could not put weights in order");
    ck_parallel(
      engine->team, c.threads, ptrdiff_t(c.bands.count * c.shape.batch), run_parts<run_band>, &run);
    dnnl::error::wrap_c_api(run.status, "could not run");
  });
}
