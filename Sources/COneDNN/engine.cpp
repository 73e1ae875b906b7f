#include "engine.hpp"

#include <sched.h>

#include <cstdio>
#include <cstdlib>

#include "attention.hpp"
#include "convolution.hpp"
#include "linear.hpp"
#include "packing.hpp"

// Of libgomp, which has no header for clang.
extern "C" {
int omp_get_proc_bind(void);
int omp_get_num_procs(void);
int omp_get_num_places(void);
int omp_get_place_num_procs(int place);
void omp_get_place_proc_ids(int place, int *processors);
}

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

dnnl::memory::desc packed_weights(int64_t inputs, int64_t columns) {
  return {
    {inputs, columns}, dnnl::memory::data_type::bf16, dnnl::memory::format_tag::BA16a64b2a};
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
    if (dn_effective_level() == dn_below_avx2) {
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

extern "C" dn_level dn_effective_level(void) {
  try {
    auto has = [isa = int(dnnl::get_effective_cpu_isa())](dnnl_cpu_isa_t level) {
      return (isa & level) == level;
    };
    if (has(dnnl_cpu_isa_avx512_core_amx)) return dn_avx512_amx;
    if (has(dnnl_cpu_isa_avx512_core_bf16)) return dn_avx512_bf16;
    if (has(dnnl_cpu_isa_avx512_core_vnni)) return dn_avx512_vnni;
    if (has(dnnl_cpu_isa_avx512_core)) return dn_avx512;
    if (has(dnnl_cpu_isa_avx2_vnni)) return dn_avx2_vnni;
    if (has(dnnl_cpu_isa_avx2)) return dn_avx2;
  } catch (...) {
    // It says nothing, so nothing is known to be there.
  }
  return dn_below_avx2;
}

/// Whether the calling thread can have the few hundred bytes that OpenMP keeps for it. OpenMP ends the
/// process where it cannot. What a thread frees stays in its own cache, by size, and OpenMP's request
/// finds it there, whatever other threads take in between.
static bool can_allocate_on_this_thread() {
  std::array<void *, 64> blocks;  // of 16, 32, … 1024 bytes
  bool has_all = true;
  for (size_t i = 0; i < blocks.size(); i++) {
    blocks[i] = std::malloc(16 * (i + 1));
    has_all = has_all && blocks[i];
  }
  asm volatile("" : : "r"(blocks.data()) : "memory");  // or else the compiler leaves it all out
  for (void *block : blocks) std::free(block);
  return has_all;
}

extern "C" bool dn_begin_thread(void) {
  if (!can_allocate_on_this_thread()) return false;
  omp_set_num_threads(1);
  if (omp_get_proc_bind() == 0) return true;
  cpu_set_t places;
  CPU_ZERO(&places);
  for (int place = 0; place < omp_get_num_places(); place++) {
    std::array<int, CPU_SETSIZE> processors;
    int count = omp_get_place_num_procs(place);
    if (count > int(processors.size())) return true;
    omp_get_place_proc_ids(place, processors.data());
    for (int i = 0; i < count; i++) CPU_SET(processors[size_t(i)], &places);
  }
  if (CPU_COUNT(&places) > 0) sched_setaffinity(0, sizeof places, &places);
  return true;
}

extern "C" int32_t dn_usable_cpus(void) { return std::clamp(omp_get_num_procs(), 1, 1024); }

extern "C" const char *dn_kernels(dn_engine *engine) {
  engine->kernel_list.clear();
  for (const std::string &kernel : engine->kernels) engine->kernel_list += kernel + "\n";
  engine->kernels.clear();
  return engine->kernel_list.c_str();
}
