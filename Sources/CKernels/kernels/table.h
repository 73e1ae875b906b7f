// What a level offers, and what kernels and dispatch.c share beside the public header.
#pragma once
#include "CKernels.h"

/// Items begin ..< end of a kernel's work.
typedef void (*ck_kernel)(const void *arguments, ptrdiff_t begin, ptrdiff_t end);

typedef struct {
  ck_kernel layer_norm, layer_norm_sum, layer_norm_mean, rms_norm;
  ck_kernel group_norm_sums, group_norm_factors, group_norm_apply;
  ck_kernel map, broadcast_add, gather, find_not_finite;
  ck_kernel adaptive_average, nearest, patchify, unpatchify;
  void (*softmax)(const ck_softmax_arguments *arguments);
  void (*finish)(const ck_finish_arguments *arguments);
  void (*pack_rows)(ck_rows x, ptrdiff_t rows, ptrdiff_t columns, void *packed);
  void (*pack_rows_as_columns)(ck_rows x, ptrdiff_t rows, ptrdiff_t columns, void *packed);
  void (*weigh)(const ck_weigh_arguments *arguments);
  void (*short_attention)(const ck_short_attention_arguments *arguments);
  void (*prepare_mask)(const float *mask, ptrdiff_t columns, float *out);
  void (*divide_rows)(
    ck_rows x, const float *divisors, ck_rows out, ptrdiff_t rows, ptrdiff_t columns);
} kernel_table;

extern const kernel_table kernels_baseline;
#ifdef __x86_64__
extern const kernel_table kernels_avx2, kernels_avx512;
#endif

/// Rows that are summed by one thread, in order.
enum { norm_chunk = 16, group_norm_chunk = 128 };

typedef struct {
  const ck_layer_norm_arguments *arguments;
  ptrdiff_t chunks;
  float *partial;
} layer_norm_mean_context;

static inline ptrdiff_t group_norm_chunks(const ck_group_norm_arguments *arguments) {
  return (arguments->pixels + group_norm_chunk - 1) / group_norm_chunk;
}

typedef struct {
  ck_rows x;
  ptrdiff_t columns;
  int32_t *found;
} not_finite_context;
