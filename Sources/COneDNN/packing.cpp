#include "packing.hpp"

using dnnl::memory;
using namespace sparsedit;

namespace {

enum place : size_t { place_from, place_to };

/// Columns that one thread packs at a time.
constexpr int64_t columns_at_once = 4 * packed_columns;
/// Rows of the product that decides: any would do.
constexpr int64_t rows = 128;

/// Whether products read such weights without putting them in order first. Whole blocks only, so that
/// nothing has to be filled up.
bool gains(const dnnl::engine &engine, const dn_pack_shape &s) {
  if (s.type != ck_bf16 || s.inputs % packed_inputs != 0 || s.outputs % packed_columns != 0)
    return false;
  memory::desc a({rows, s.inputs}, data_type(s.type), memory::format_tag::ab);
  memory::desc c({rows, s.outputs}, memory::data_type::f32, memory::format_tag::ab);
  try {
    auto desc =
      matmul_desc(engine, a, packed_weights(s.inputs, s.outputs), nullptr, c, attributes({}));
    return std::string(desc.impl_info_str()).rfind("brg", 0) == 0;
  } catch (const dnnl::error &error) {
    if (error.status == dnnl_unimplemented) return false;
    throw;
  }
}

Operations operations(dn_engine &engine, const dn_pack_shape &s, int64_t columns) {
  memory::desc from({s.inputs, columns}, data_type(s.type), memory::dims{1, s.stride});
  memory::desc to = packed_weights(s.inputs, columns);
  dnnl::reorder::primitive_desc desc(engine.engine, from, engine.engine, to);
  Operation operation{dnnl::reorder(desc)};
  operation.add(DNNL_ARG_FROM, from, engine.engine);
  operation.add(DNNL_ARG_TO, to, engine.engine);
  return {std::move(operation), 0, engine.team.threads};
}

std::unique_ptr<dn_pack> make(dn_engine &engine, const dn_pack_shape &s) {
  Split columns(s.outputs, columns_at_once, packed_columns);
  auto pack = std::unique_ptr<dn_pack>(new dn_pack{s, columns, {}, {}, 0});
  if (!gains(engine.engine, s)) return pack;
  pack->bytes = size_t(s.inputs * s.outputs) * size_of(s.type);
  pack->last = operations(engine, s, columns.last);
  if (columns.count > 1) pack->full = operations(engine, s, columns.size);
  return pack;
}

dn_pack *prepared(dn_engine &engine, const dn_pack_shape &s) {
  return engine.packs.get(key(s), [&] { return make(engine, s); });
}

struct Run {
  const dn_engine *engine;
  dn_pack *pack;
  const void *weights;
  void *packed;
  std::atomic<dnnl_status_t> status{dnnl_success};
};

void run_blocks(const void *context, ptrdiff_t begin, ptrdiff_t end, int32_t thread) {
  auto &run = *static_cast<Run *>(const_cast<void *>(context));
  dn_pack &pack = *run.pack;
  const dn_pack_shape &s = pack.shape;
  for (ptrdiff_t block = begin; block < end; block++) {
    int64_t column = block * pack.columns.size;
    Operation &operation = (block == pack.columns.count - 1 ? pack.last : pack.full)[thread];
    operation.set(place_from, advanced(run.weights, s.type, column * s.stride));
    operation.set(place_to, advanced(run.packed, s.type, column * s.inputs));
    if (auto status = operation.run(run.engine->stream)) run.status = status;
  }
}

}  // namespace

Key sparsedit::key(const dn_pack_shape &s) { return {s.inputs, s.outputs, s.stride, s.type}; }

extern "C" dn_status dn_pack_bytes(
  dn_engine *engine, const dn_pack_shape *shape, size_t *bytes
) {
  return engine->guarded("oneDNN reorder", [&] { *bytes = prepared(*engine, *shape)->bytes; });
}

extern "C" dn_status dn_pack_run(
  dn_engine *engine, const dn_pack_shape *shape, const void *weights, void *packed
) {
  return engine->guarded("oneDNN reorder", [&] {
    Run run{engine, prepared(*engine, *shape), weights, packed};
    ck_parallel(
      engine->team, engine->team.threads, ptrdiff_t(run.pack->columns.count), run_blocks, &run);
    dnnl::error::wrap_c_api(run.status, "could not run");
  });
}
