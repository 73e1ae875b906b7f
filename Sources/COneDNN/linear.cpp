#include "engine.hpp"

using dnnl::memory;
using namespace sparsedit;

namespace {

/// Places of the operands that every linear layer has; optional ones follow in this order:
/// bias, gate, factor.
enum place : size_t { place_a, place_b, place_c, place_scratch, place_optional };

std::unique_ptr<dn_linear> make(
  const dnnl::engine &engine, const dn_linear_shape &s, int32_t threads
) {
  auto type = data_type(s.input_type);
  memory::desc a({s.rows, s.inputs}, type, memory::dims{s.a_stride, 1});
  memory::desc b({s.inputs, s.outputs}, type, memory::dims{1, s.b_stride});
  memory::desc c({s.rows, s.outputs}, data_type(s.output_type), memory::dims{s.c_stride, 1});
  memory::desc row({1, s.outputs}, memory::data_type::f32, memory::format_tag::ab);
  memory::desc factor(
    {s.rows, s.outputs}, data_type(s.factor_type), memory::dims{s.factor_stride, 1});

  dnnl::post_ops operations;
  append(operations, s.activation);
  int gate_index = operations.len();
  if (s.gate) operations.append_binary(dnnl::algorithm::binary_mul, row);
  int factor_index = operations.len();
  if (s.factor) operations.append_binary(dnnl::algorithm::binary_mul, factor);
  if (s.residual) operations.append_sum();

  auto desc = matmul_desc(engine, a, b, s.bias ? &row : nullptr, c, attributes(operations));
  auto linear = std::make_unique<dn_linear>();
  linear->threads = threads;
  linear->scratch_bytes = desc.scratchpad_desc().get_size();
  linear->operation = Operation(dnnl::matmul(desc));
  linear->operation.add(DNNL_ARG_SRC, a, engine);
  linear->operation.add(DNNL_ARG_WEIGHTS, b, engine);
  linear->operation.add(DNNL_ARG_DST, c, engine);
  linear->operation.add(DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc(), engine);
  if (s.bias) linear->operation.add(DNNL_ARG_BIAS, row, engine);
  if (s.gate)
    linear->operation.add(
      DNNL_ARG_ATTR_MULTIPLE_POST_OP(gate_index) | DNNL_ARG_SRC_1, row, engine);
  if (s.factor)
    linear->operation.add(
      DNNL_ARG_ATTR_MULTIPLE_POST_OP(factor_index) | DNNL_ARG_SRC_1, factor, engine);
  return linear;
}

}  // namespace

Key sparsedit::key(const dn_linear_shape &s) {
  return {s.rows, s.inputs, s.outputs, s.a_stride, s.b_stride, s.c_stride, s.factor_stride,
          s.input_type, s.output_type, s.factor_type, s.activation, s.bias, s.gate, s.factor,
          s.residual};
}

extern "C" dn_status dn_linear_prepare(
  dn_engine *engine, const dn_linear_shape *shape, dn_linear **linear, size_t *scratch_bytes
) {
  const dn_linear_shape &s = *shape;
  int32_t threads = engine->threads_for(2.0 * double(s.rows) * double(s.inputs * s.outputs));
  return engine->guarded("oneDNN matmul", threads, [&] {
    *linear = engine->linears.get(key(s), [&] { return make(engine->engine, s, threads); });
    *scratch_bytes = (*linear)->scratch_bytes;
  });
}

extern "C" dn_status dn_linear_run(
  dn_engine *engine, dn_linear *linear, const dn_linear_operands *o
) {
  return engine->guarded("oneDNN matmul", linear->threads, [&] {
    Operation &operation = linear->operation;
    operation.set(place_a, o->a);
    operation.set(place_b, o->b);
    operation.set(place_c, o->c);
    operation.set(place_scratch, o->scratch);
    size_t next = place_optional;
    if (o->bias) operation.set(next++, o->bias);
    if (o->gate) operation.set(next++, o->gate);
    if (o->factor) operation.set(next++, o->factor);
    dnnl::error::wrap_c_api(operation.run(engine->stream), "could not run");
  });
}
