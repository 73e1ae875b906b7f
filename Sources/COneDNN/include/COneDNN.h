// oneDNN behind a few flat functions: linear layers, attention, convolution.
//
// Primitives are made once per shape and kept in the engine. No C++ exception passes; a failure
// returns its kind, and dn_message() says what it was. Everything that a primitive needs beside
// its operands is scratch memory that the caller gives, of the size that `prepare` says.
//
// Work is cut into blocks whose shapes depend on the operands' shapes and the CPU level only. Threads
// of the engine's team take them one by one, and oneDNN computes each on the thread that calls it:
// it starts no team of its own.
//
// An engine belongs to one thread at a time.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "CKernels.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { dn_ok, dn_out_of_memory, dn_unsupported, dn_failed } dn_status;

/// What of the CPU oneDNN uses: what is there, unless ONEDNN_MAX_CPU_ISA holds it to less. Fixed for
/// the process when it is first asked.
typedef enum {
  dn_below_avx2,
  dn_avx2,
  dn_avx2_vnni,
  dn_avx512,
  dn_avx512_vnni,
  dn_avx512_bf16,
  dn_avx512_amx,
} dn_level;
dn_level dn_effective_level(void);

/// To be called once on each thread that computes. OpenMP will start no team for it; and where
/// OMP_PROC_BIND had the thread that loaded OpenMP bound to one place, this one may run on all.
/// False, before OpenMP has been asked for anything, where there is not enough memory for that.
bool dn_begin_thread(void);
/// How many CPUs the calling thread may run on, but for OMP_PROC_BIND's binding; 1 … 1024.
int32_t dn_usable_cpus(void);

typedef struct dn_engine dn_engine;
/// `message` (of `size` bytes) is written when the engine could not be made; dn_unsupported when
/// oneDNN may not use AVX2.
dn_status dn_engine_create(ck_team team, dn_engine **engine, char *message, size_t size);
void dn_engine_destroy(dn_engine *engine);
/// Why the last call failed; valid until the next one.
const char *dn_message(const dn_engine *engine);

/// Which kernels the primitives were made of since the last call: lines such as
/// "linear 128×192→576 f32: brg:avx512_core", without repetition. "ref" in one means oneDNN's slow
/// reference code. Valid until the next call.
const char *dn_kernels(dn_engine *engine);

typedef enum { dn_identity, dn_gelu_tanh, dn_gelu_erf, dn_silu } dn_activation;

/// c = activation(a·bᵀ + bias)·gate·factor + residual, what is not wanted left out.
/// Strides are elements between rows; f32 or bf16, a and b alike, but that b may be bf16 where a is
/// f32: then it is expanded block by block. Where oneDNN cannot fuse gate, factor and residual into
/// the product at this CPU level, they are applied to each block by a kernel of ours.
typedef struct {
  int64_t rows, inputs, outputs;
  int64_t a_stride, b_stride, c_stride, factor_stride;
  ck_type input_type, weight_type, output_type, factor_type;
  dn_activation activation;
  bool bias, gate, factor, residual;
  /// Whether b lies as dn_pack_run() leaves it; `b_stride` then says nothing.
  bool packed;
} dn_linear_shape;

typedef struct {
  const void *a, *b;
  /// [outputs], f32.
  const float *bias, *gate;
  /// [rows, outputs].
  const void *factor;
  /// Holds the residual when there is one.
  void *c;
  void *scratch;
} dn_linear_operands;

typedef struct dn_linear dn_linear;
dn_status dn_linear_prepare(
  dn_engine *engine, const dn_linear_shape *shape, dn_linear **linear, size_t *scratch_bytes);
dn_status dn_linear_run(
  dn_engine *engine, dn_linear *linear, const dn_linear_operands *operands);

/// Weights `[outputs, inputs]` in the order that products read fastest: oneDNN then need not put them in
/// it for every block of rows. Which weights gain by it depends on their shape and type and on the CPU
/// level only. Zero bytes where they do not: they are to be used as they lie.
typedef struct {
  int64_t inputs, outputs;
  /// Elements between rows of the weights as they lie.
  int64_t stride;
  ck_type type;
} dn_pack_shape;

dn_status dn_pack_bytes(dn_engine *engine, const dn_pack_shape *shape, size_t *bytes);
/// Writes the `dn_pack_bytes` bytes from `packed`, which is to be aligned to 64 bytes.
dn_status dn_pack_run(
  dn_engine *engine, const dn_pack_shape *shape, const void *weights, void *packed);

/// out = softmax(scale·Q·Kᵀ + bias + mask)·V for each head. Heads lie side by side in a row.
typedef struct {
  int64_t batch, heads, queries, keys, width;
  int64_t query_stride, key_stride, value_stride, out_stride;
  ck_type type;
} dn_attention_shape;

typedef struct {
  const void *query, *key, *value;
  /// Elements from one batch entry's keys (values) to the next; 0 when they share them.
  int64_t key_batch, value_batch;
  float scale;
  /// f32 [heads, queries, keys], may be NULL.
  const float *bias;
  /// f32 [batch, keys] with `mask_batch` elements from one entry to the next, may be NULL.
  const float *mask;
  int64_t mask_batch;
  void *out;
  void *scratch;
  /// Which pieces of the work to do: `pieces` from `first_piece`.
  int64_t first_piece, pieces;
} dn_attention_operands;

typedef struct dn_attention dn_attention;
dn_status dn_attention_prepare(
  dn_engine *engine, const dn_attention_shape *shape, dn_attention **attention,
  size_t *scratch_bytes);
/// How many pieces the work is made of: a head's chunk of queries each.
int64_t dn_attention_pieces(const dn_attention *attention);
dn_status dn_attention_run(
  dn_engine *engine, dn_attention *attention, const dn_attention_operands *operands);

/// 2-D convolution of channels-last pictures: out = conv(x) + bias + residual.
/// Weights [out, in, height, width] of the type of x.
typedef struct {
  int64_t batch, height, width, inputs, outputs, kernel_height, kernel_width, stride, padding;
  ck_type input_type, output_type;
  bool bias, residual;
} dn_convolution_shape;

typedef struct {
  const void *x, *weights;
  const float *bias;
  /// Holds the residual when there is one.
  void *out;
  void *scratch;
} dn_convolution_operands;

typedef struct dn_convolution dn_convolution;
dn_status dn_convolution_prepare(
  dn_engine *engine, const dn_convolution_shape *shape, dn_convolution **convolution,
  size_t *scratch_bytes);
dn_status dn_convolution_run(
  dn_engine *engine, dn_convolution *convolution, const dn_convolution_operands *operands);

#ifdef __cplusplus
}
#endif
