// GroupNorm of channels-last pictures in three passes: sums per chunk of pixels and channel, the
// factor and offset that each channel gets from them, and their application with SiLU.
#include "simd.h"

/// Scratch: sums and squares per chunk, then factor and offset per picture, all f32 per channel.
INLINE float *chunk_sums(const ck_group_norm_arguments *a, ptrdiff_t item) {
  return a->scratch + item * 2 * a->channels;
}
INLINE float *channel_factors(const ck_group_norm_arguments *a, ptrdiff_t batch) {
  return chunk_sums(a, a->batch * group_norm_chunks(a) + batch);
}

/// One item is a chunk of pixels of a picture. Values are taken relative to the picture's first
/// pixel: the square of a large common offset would swallow the variance.
INLINE void group_norm_sums_typed(
  const ck_group_norm_arguments *a, ptrdiff_t begin, ptrdiff_t end, ck_type from
) {
  ptrdiff_t chunks = group_norm_chunks(a), channels = a->channels;
  for (ptrdiff_t item = begin; item < end; item++) {
    ptrdiff_t batch = item / chunks, first = item % chunks * group_norm_chunk;
    ptrdiff_t last = first + group_norm_chunk;
    if (last > a->pixels) last = a->pixels;
    ck_rows pivot = row_at(typed(a->x, from), batch * a->pixels);
    ck_rows sums = {chunk_sums(a, item), channels, ck_f32};
    EACH_VECTOR(channels, {
      vf zero = load(pivot, c, n), sum = {}, square = {};
      for (ptrdiff_t i = first; i < last; i++) {
        vf v = load(row_at(pivot, i), c, n) - zero;
        sum += v;
        square += v * v;
      }
      store(sums, c, n, sum);
      store(row_at(sums, 1), c, n, square);
    });
  }
}
static void group_norm_sums(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_group_norm_arguments *a = context;
  if (a->x.type == ck_f32) group_norm_sums_typed(a, begin, end, ck_f32);
  else group_norm_sums_typed(a, begin, end, a->x.type);
}

/// One item is a group of a picture.
static void group_norm_factors(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_group_norm_arguments *a = context;
  ptrdiff_t chunks = group_norm_chunks(a), width = a->channels / a->groups;
  for (ptrdiff_t item = begin; item < end; item++) {
    ptrdiff_t batch = item / a->groups, first = item % a->groups * width;
    ck_rows pivot = row_at(a->x, batch * a->pixels);
    double count = (double)a->pixels, total = 0, square = 0;
    for (ptrdiff_t c = first; c < first + width; c++) {
      double s = 0, q = 0;
      for (ptrdiff_t chunk = 0; chunk < chunks; chunk++) {
        const float *sums = chunk_sums(a, batch * chunks + chunk);
        s += sums[c];
        q += sums[a->channels + c];
      }
      double offset = load(pivot, c, 1)[0];
      total += s + count * offset;
      // The channel's mean, for the variance below.
      channel_factors(a, batch)[c] = (float)(s / count + offset);
      square += q - s * s / count;
    }
    double mean = total / (count * (double)width);
    // Variance of the group = mean variance of its channels + variance of their means.
    for (ptrdiff_t c = first; c < first + width; c++) {
      double apart = channel_factors(a, batch)[c] - mean;
      square += count * apart * apart;
    }
    double variance = square / (count * (double)width);
    float scale = (float)(1.0 / __builtin_sqrt((variance > 0 ? variance : 0) + a->epsilon));
    if (variance != variance) scale = __builtin_nanf("");
    float *factor = channel_factors(a, batch), *offset = factor + a->channels;
    for (ptrdiff_t c = first; c < first + width; c++) {
      factor[c] = scale * a->weight[c];
      offset[c] = a->bias[c] - (float)mean * factor[c];
    }
  }
}

/// One item is a chunk of pixels of a picture.
INLINE void group_norm_apply_typed(
  const ck_group_norm_arguments *a, ptrdiff_t begin, ptrdiff_t end, ck_type from, ck_type to
) {
  ptrdiff_t chunks = group_norm_chunks(a);
  for (ptrdiff_t item = begin; item < end; item++) {
    ptrdiff_t batch = item / chunks, first = item % chunks * group_norm_chunk;
    ptrdiff_t last = first + group_norm_chunk;
    if (last > a->pixels) last = a->pixels;
    const float *factor = channel_factors(a, batch), *offset = factor + a->channels;
    for (ptrdiff_t i = batch * a->pixels + first; i < batch * a->pixels + last; i++) {
      ck_rows x = row_at(typed(a->x, from), i), out = row_at(typed(a->out, to), i);
      EACH_VECTOR(a->channels, {
        vf v = load(x, c, n) * load_f32(factor, c, n) + load_f32(offset, c, n);
        store(out, c, n, a->silu ? silu(v) : v);
      });
    }
  }
}
static void group_norm_apply(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_group_norm_arguments *a = context;
  BY_TYPES(group_norm_apply_typed, a, begin, end);
}
