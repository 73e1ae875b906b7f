// LayerNorm with adaLN modulation, its mean over the tokens, and RMSNorm.
#include "simd.h"

typedef struct {
  float mean, scale;
} moments;

/// Mean and 1/√(variance + ε) of a row, in two passes: the row stays in the cache.
INLINE moments row_moments(ck_rows row, ptrdiff_t columns, float epsilon) {
  vf sum = {}, square = {};
  EACH_VECTOR(columns, sum += load(row, c, n););
  float mean = sum_lanes(sum) / (float)columns;
  EACH_VECTOR(columns, {
    vf centred = first_lanes(load(row, c, n) - mean, n);
    square += centred * centred;
  });
  float variance = sum_lanes(square) / (float)columns;
  return (moments){mean, 1.0f / __builtin_sqrtf(variance + epsilon)};
}

INLINE vf modulate(vf v, const float *scale, const float *shift, ptrdiff_t c, ptrdiff_t n) {
  if (scale) v *= 1.0f + load_f32(scale, c, n);
  if (shift) v += load_f32(shift, c, n);
  return v;
}

INLINE void layer_norm_typed(
  const ck_layer_norm_arguments *a, ptrdiff_t begin, ptrdiff_t end, ck_type from, ck_type to
) {
  for (ptrdiff_t i = begin; i < end; i++) {
    ck_rows x = row_at(typed(a->x, from), i), out = row_at(typed(a->out, to), i);
    ptrdiff_t group = i / a->rows_per_group;
    const float *scale = a->scale ? a->scale + group * a->scale_stride : NULL;
    const float *shift = a->shift ? a->shift + group * a->shift_stride : NULL;
    moments m = row_moments(x, a->columns, a->epsilon);
    EACH_VECTOR(a->columns, {
      vf v = (load(x, c, n) - m.mean) * m.scale;
      store(out, c, n, modulate(v, scale, shift, c, n));
    });
  }
}
static void layer_norm(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_layer_norm_arguments *a = context;
  BY_TYPES(layer_norm_typed, a, begin, end);
}

/// One item is a chunk of `norm_chunk` rows of a batch: their normalised rows, summed.
INLINE void layer_norm_sum_typed(
  const layer_norm_mean_context *a, ptrdiff_t begin, ptrdiff_t end, ck_type from
) {
  ptrdiff_t rows = a->arguments->rows_per_group, columns = a->arguments->columns;
  for (ptrdiff_t item = begin; item < end; item++) {
    ptrdiff_t batch = item / a->chunks, first = item % a->chunks * norm_chunk;
    ptrdiff_t last = first + norm_chunk < rows ? first + norm_chunk : rows;
    ck_rows sum = {a->partial + item * columns, 0, ck_f32};
    EACH_VECTOR(columns, store(sum, c, n, (vf){}););
    for (ptrdiff_t i = first; i < last; i++) {
      ck_rows x = row_at(typed(a->arguments->x, from), batch * rows + i);
      moments m = row_moments(x, columns, a->arguments->epsilon);
      EACH_VECTOR(columns,
        store(sum, c, n, load(sum, c, n) + (load(x, c, n) - m.mean) * m.scale););
    }
  }
}
static void layer_norm_sum(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const layer_norm_mean_context *a = context;
  if (a->arguments->x.type == ck_f32) layer_norm_sum_typed(a, begin, end, ck_f32);
  else layer_norm_sum_typed(a, begin, end, a->arguments->x.type);
}

/// One item is a batch: its chunks' sums in order, to the modulated mean (which is linear).
static void layer_norm_mean(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const layer_norm_mean_context *a = context;
  const ck_layer_norm_arguments *norm = a->arguments;
  for (ptrdiff_t batch = begin; batch < end; batch++) {
    const float *scale = norm->scale ? norm->scale + batch * norm->scale_stride : NULL;
    const float *shift = norm->shift ? norm->shift + batch * norm->shift_stride : NULL;
    EACH_VECTOR(norm->columns, {
      vf sum = {};
      for (ptrdiff_t chunk = 0; chunk < a->chunks; chunk++)
        sum += load_f32(a->partial + (batch * a->chunks + chunk) * norm->columns, c, n);
      sum /= (float)norm->rows_per_group;
      store(row_at(norm->out, batch), c, n, modulate(sum, scale, shift, c, n));
    });
  }
}

INLINE void rms_norm_typed(
  const ck_rms_norm_arguments *a, ptrdiff_t begin, ptrdiff_t end, ck_type from, ck_type to
) {
  for (ptrdiff_t i = begin; i < end; i++) {
    ck_rows x = row_at(typed(a->x, from), i), out = row_at(typed(a->out, to), i);
    vf square = {};
    EACH_VECTOR(a->columns, {
      vf v = load(x, c, n);
      square += v * v;
    });
    float mean = sum_lanes(square) / (float)a->columns;
    float factor = 1.0f / __builtin_sqrtf(mean + a->epsilon);
    EACH_VECTOR(a->columns,
      store(out, c, n, load(x, c, n) * factor * load_f32(a->weight, c, n)););
  }
}
static void rms_norm(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_rms_norm_arguments *a = context;
  BY_TYPES(rms_norm_typed, a, begin, end);
}
