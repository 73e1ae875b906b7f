#include "convolution.hpp"

#include <algorithm>

using dnnl::memory;
using namespace sparsedit;

namespace {

enum place : size_t { place_x, place_weights, place_out, place_scratch, place_bias };
enum pack_place : size_t { pack_from, pack_to, pack_scratch };

dnnl::convolution_forward::primitive_desc describe(
  const dnnl::engine &engine, const dn_convolution_shape &s, const memory::desc &x,
  const memory::desc &weights, const memory::desc *bias, const memory::desc &out
) {
  dnnl::post_ops operations;
  if (s.residual) operations.append_sum();
  auto attr = attributes(operations);
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto algorithm = dnnl::algorithm::convolution_direct;
  memory::dims strides{s.stride, s.stride}, padding{s.padding, s.padding};
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

int32_t threads_for(const dn_engine &engine, const dn_convolution_shape &s) {
  double kernel = double(s.inputs * s.outputs) * double(s.kernel_height * s.kernel_width);
  return engine.threads_for(2 * kernel * double(s.batch * s.height * s.width));
}

std::unique_ptr<dn_convolution> make(
  const dnnl::engine &engine, const dn_convolution_shape &s, int32_t threads
) {
  using tag = memory::format_tag;
  auto type = data_type(s.input_type);
  int64_t height = (s.height + 2 * s.padding - s.kernel_height) / s.stride + 1;
  int64_t width = (s.width + 2 * s.padding - s.kernel_width) / s.stride + 1;
  memory::dims kernel{s.outputs, s.inputs, s.kernel_height, s.kernel_width};
  memory::desc x({s.batch, s.inputs, s.height, s.width}, type, tag::nhwc);
  memory::desc given(kernel, type, tag::oihw), wanted(kernel, type, tag::any);
  memory::desc bias({s.outputs}, memory::data_type::f32, tag::a);
  memory::desc out({s.batch, s.outputs, height, width}, data_type(s.output_type), tag::nhwc);

  auto desc = describe(engine, s, x, wanted, s.bias ? &bias : nullptr, out);
  auto made = std::make_unique<dn_convolution>();
  made->threads = threads;
  made->convolution = Operation(dnnl::convolution_forward(desc));
  made->convolution.add(DNNL_ARG_SRC, x, engine);
  made->convolution.add(DNNL_ARG_WEIGHTS, desc.weights_desc(), engine);
  made->convolution.add(DNNL_ARG_DST, out, engine);
  made->convolution.add(DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc(), engine);
  if (s.bias) made->convolution.add(DNNL_ARG_BIAS, bias, engine);
  made->own_bytes = round_up(desc.scratchpad_desc().get_size());

  made->packs = desc.weights_desc() != given;
  if (!made->packs) return made;
  dnnl::reorder::primitive_desc pack(
    engine, given, engine, desc.weights_desc(), attributes({}));
  made->pack = Operation(dnnl::reorder(pack));
  made->pack.add(DNNL_ARG_FROM, given, engine);
  made->pack.add(DNNL_ARG_TO, desc.weights_desc(), engine);
  made->pack.add(DNNL_ARG_SCRATCHPAD, pack.scratchpad_desc(), engine);
  made->own_bytes = std::max(made->own_bytes, round_up(pack.scratchpad_desc().get_size()));
  made->packed_bytes = round_up(desc.weights_desc().get_size());
  return made;
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
  int32_t threads = threads_for(*engine, *shape);
  return engine->guarded("oneDNN convolution", threads, [&] {
    *convolution = engine->convolutions.get(
      key(*shape), [&] { return make(engine->engine, *shape, threads); });
    *scratch_bytes = (*convolution)->packed_bytes + (*convolution)->own_bytes;
  });
}

extern "C" dn_status dn_convolution_run(
  dn_engine *engine, dn_convolution *convolution, const dn_convolution_operands *o
) {
  return engine->guarded("oneDNN convolution", convolution->threads, [&] {
    char *packed = static_cast<char *>(o->scratch);
    void *own = packed + convolution->packed_bytes;
    const void *weights = o->weights;
    if (convolution->packs) {
      convolution->pack.set(pack_from, weights);
      convolution->pack.set(pack_to, packed);
      convolution->pack.set(pack_scratch, own);
      dnnl::error::wrap_c_api(convolution->pack.run(engine->stream), "could not pack weights");
      weights = packed;
    }
    convolution->convolution.set(place_x, o->x);
    convolution->convolution.set(place_weights, weights);
    convolution->convolution.set(place_out, o->out);
    convolution->convolution.set(place_scratch, own);
    if (o->bias) convolution->convolution.set(place_bias, o->bias);
    dnnl::error::wrap_c_api(convolution->convolution.run(engine->stream), "could not run");
  });
}
