// Attention over few keys, whole: short sequences, and what calling oneDNN would take longer for.
#include "attention.h"

enum {
  /// Queries at most that share what is loaded of keys and values, and vectors of keys at most.
  short_queries = 8,
  short_vectors = ck_short_keys / lanes,
};

/// Keys [keys, width] as f32 columns: for each channel, all keys and lanes without one.
INLINE void spread_keys(ck_rows k, ptrdiff_t keys, ptrdiff_t width, float *columns) {
  ptrdiff_t stride = up_to_multiple(keys, lanes);
  for (ptrdiff_t key = 0; key < stride; key += lanes)
    for (ptrdiff_t channel = 0; channel < width; channel += wide_lanes) {
      vpair v[lanes];
      for (ptrdiff_t i = 0; i < lanes; i++) {
        const uint16_t *p = (const uint16_t *)k.data + (key + i) * k.stride + channel;
        bool exists = key + i < keys;
        v[i] = (vpair)load_wide(p, exists ? width - channel : 0, row_goes_on(k, key + i, keys));
      }
      transpose_pairs(v);
      float *out = columns + channel * stride + key;
      for (ptrdiff_t i = 0; i < lanes; i++) {
        vpair even = v[i] << 16, odd = v[i] & 0xffff0000;
        __builtin_memcpy(out + 2 * i * stride, &even, sizeof even);
        __builtin_memcpy(out + (2 * i + 1) * stride, &odd, sizeof odd);
      }
    }
}

/// bf16 rows as f32 rows, `stride` apart, filled up with zeros.
///
/// - Parameter of: rows that x has, of which the last one ends with its last column.
INLINE void spread_rows(
  ck_rows x, ptrdiff_t first, ptrdiff_t count, ptrdiff_t of, ptrdiff_t columns, ptrdiff_t stride,
  float *out
) {
  for (ptrdiff_t row = first; row < first + count; row++, out += stride)
    for (ptrdiff_t c = 0; c < stride; c += wide_lanes) {
      const uint16_t *p = (const uint16_t *)x.data + row * x.stride + c;
      vwide v = load_wide(p, columns - c, row_goes_on(x, row, of));
      vh half[2];
      __builtin_memcpy(half, &v, sizeof half);
      for (int i = 0; i < 2; i++) {
        vf f = from_bf16(half[i]);
        __builtin_memcpy(out + c + i * lanes, &f, sizeof f);
      }
    }
}

/// The first n ≤ 16 elements, in moves of fixed sizes.
INLINE void store_bits(uint16_t *p, vh bits, ptrdiff_t n) {
  if (n >= lanes) {
    __builtin_memcpy(p, &bits, sizeof bits);
    return;
  }
  const uint16_t *from = (const uint16_t *)&bits;
  if (n & 8) {
    __builtin_memcpy(p, from, 16);
    p += 8;
    from += 8;
  }
  for (ptrdiff_t i = 0; i < (n & 7); i++) p[i] = from[i];
}

/// Weights of `count` of `queries` queries for all keys, each row of them `ck_short_keys` long, and what
/// to divide by.
INLINE void weigh_few(
  const ck_short_attention_arguments *a, const float *q, ptrdiff_t stride, const float *columns,
  ptrdiff_t first, ptrdiff_t count, int queries, int vectors, float *weights, float *sums
) {
  vf scores[short_queries][short_vectors];
  for (int i = 0; i < queries; i++)
    for (int j = 0; j < vectors; j++) scores[i][j] = (vf){};
  for (ptrdiff_t channel = 0; channel < a->width; channel++) {
    vf key[short_vectors];
    __builtin_memcpy(key, columns + channel * vectors * lanes, (size_t)vectors * sizeof *key);
    for (int i = 0; i < queries; i++)
      for (int j = 0; j < vectors; j++) scores[i][j] += q[i * stride + channel] * key[j];
  }
  for (ptrdiff_t i = 0; i < count; i++) {
    const float *bias = a->bias ? a->bias + (first + i) * a->bias_stride : NULL;
    vf high = splat(-__builtin_inff()), sum = {};
    for (int j = 0; j < vectors; j++) {
      ptrdiff_t c = j * lanes, n = a->keys - c < lanes ? a->keys - c : lanes;
      vf v = scores[i][j] * (a->scale * log2_e);
      if (bias) v += load_f32(bias, c, n) * log2_e;
      scores[i][j] = v + load_f32(a->mask, c, lanes);
      high = maximum(scores[i][j], high);
    }
    float top = highest_lane(high), base = top == -__builtin_inff() ? 0 : top;
    for (int j = 0; j < vectors; j++) {
      vf v = power_of_two(scores[i][j] - base);
      sum += v;
      __builtin_memcpy(weights + i * ck_short_keys + j * lanes, &v, sizeof v);
    }
    sums[i] = sum_lanes(sum);
  }
}

/// Averages of values by the weights of `count` of `queries` queries.
INLINE void average_few(
  const ck_short_attention_arguments *a, const float *values, ptrdiff_t stride,
  const float *weights, const float *sums, ptrdiff_t first, ptrdiff_t count, int queries
) {
  for (ptrdiff_t begin = 0; begin < a->width; begin += 2 * lanes) {
    vf average[short_queries][2];
    for (int i = 0; i < queries; i++) average[i][0] = average[i][1] = (vf){};
    for (ptrdiff_t key = 0; key < a->keys; key++) {
      vf value[2];
      __builtin_memcpy(value, values + key * stride + begin, sizeof value);
      for (int i = 0; i < queries; i++)
        for (int j = 0; j < 2; j++) average[i][j] += weights[i * ck_short_keys + key] * value[j];
    }
    for (int j = 0; j < 2; j++) {
      ptrdiff_t c = begin + j * lanes, n = a->width - c < lanes ? a->width - c : lanes;
      for (ptrdiff_t i = 0; i < count && n > 0; i++)
        store_bits(
          (uint16_t *)a->out.data + (first + i) * a->out.stride + c,
          to_bf16(average[i][j] * (1.0f / sums[i])), n);
    }
  }
}

/// With as many queries at a time as keep the CPU's registers full.
INLINE void attend_few(const ck_short_attention_arguments *a, int queries, int vectors) {
  ptrdiff_t stride = up_to_multiple(a->width, wide_lanes);
  float *columns = a->scratch, *values = columns + stride * vectors * lanes;
  spread_keys(a->k, a->keys, a->width, columns);
  spread_rows(a->v, 0, a->keys, a->keys, a->width, stride, values);
  float *q = values + a->keys * stride;
  float weights[short_queries * ck_short_keys] = {}, sums[short_queries];
  for (ptrdiff_t first = 0; first < a->queries; first += queries) {
    ptrdiff_t left = a->queries - first, count = left < queries ? left : queries;
    spread_rows(a->q, first, count, a->queries, a->width, stride, q);
    weigh_few(a, q, stride, columns, first, count, queries, vectors, weights, sums);
    average_few(a, values, stride, weights, sums, first, count, queries);
  }
}

static void short_attention(const ck_short_attention_arguments *a) {
  if (a->keys <= lanes) attend_few(a, 8, 1);
  else if (a->keys <= 2 * lanes) attend_few(a, 8, 2);
  else if (a->keys <= 3 * lanes) attend_few(a, 4, 3);
  else attend_few(a, 4, 4);
}
