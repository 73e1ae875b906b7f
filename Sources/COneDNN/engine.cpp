#include "engine.hpp"

#include <cstdio>

#include "attention.hpp"
#include "convolution.hpp"

namespace sparsedit {

dnnl::primitive_attr attributes(const dnnl::post_ops &operations) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_post_ops(operations);
  return attributes;
}

void append(dnnl::post_ops &operations, dn_activation activation) {
  dnnl::algorithm algorithm;
  float alpha = 0;
  switch (activation) {
    case dn_identity: return;
    case dn_gelu_tanh: algorithm = dnnl::algorithm::eltwise_gelu_tanh; break;
    case dn_gelu_erf: algorithm = dnnl::algorithm::eltwise_gelu_erf; break;
    case dn_silu:
      algorithm = dnnl::algorithm::eltwise_swish;
      alpha = 1;
      break;
  }
#if DNNL_VERSION_MAJOR >= 3
  operations.append_eltwise(algorithm, alpha, 0);
#else
  operations.append_eltwise(1, algorithm, alpha, 0);
#endif
}

dnnl::matmul::primitive_desc matmul_desc(
  const dnnl::engine &engine, const dnnl::memory::desc &a, const dnnl::memory::desc &b,
  const dnnl::memory::desc *bias, const dnnl::memory::desc &c,
  const dnnl::primitive_attr &attributes
) {
#if DNNL_VERSION_MAJOR >= 3
  if (bias) return {engine, a, b, *bias, c, attributes};
  return {engine, a, b, c, attributes};
#else
  if (bias) return {{a, b, *bias, c}, attributes, engine};
  return {{a, b, c}, attributes, engine};
#endif
}

/// Whether oneDNN may use AVX2, which takes a CPU that has it and no lower ONEDNN_MAX_CPU_ISA. Below
/// that oneDNN 2.6 crashes in some of the primitives here.
static bool uses_avx2() {
  return (int(dnnl::get_effective_cpu_isa()) & dnnl_cpu_isa_avx2) == dnnl_cpu_isa_avx2;
}

}  // namespace sparsedit

dn_engine::dn_engine(ck_team team) : team(team) {}
dn_engine::~dn_engine() = default;

dn_status dn_engine::fail(const char *what, const char *why, dn_status status) noexcept {
  try {
    message = std::string(what) + ": " + why;
  } catch (...) {
    message.clear();
  }
  return status;
}

extern "C" dn_status dn_engine_create(
  ck_team team, dn_engine **engine, char *message, size_t size
) {
  try {
    if (!sparsedit::uses_avx2()) {
      snprintf(message, size, "oneDNN finds no AVX2: the CPU lacks it, or ONEDNN_MAX_CPU_ISA bars it");
      return dn_unsupported;
    }
    *engine = new dn_engine(team);
    return dn_ok;
  } catch (const std::bad_alloc &) {
    snprintf(message, size, "oneDNN: out of memory");
    return dn_out_of_memory;
  } catch (const std::exception &error) {
    snprintf(message, size, "oneDNN does not start: %s", error.what());
    return dn_failed;
  }
}

extern "C" void dn_engine_destroy(dn_engine *engine) { delete engine; }

extern "C" const char *dn_message(const dn_engine *engine) { return engine->message.c_str(); }
