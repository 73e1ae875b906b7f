// What attention in bf16 needs beside its two products: operands in the order that those read, and the
// weights between them.
#include "simd.h"

typedef uint32_t vpair __attribute__((vector_size(64)));

/// 16×16 pairs, transposed.
INLINE void transpose_pairs(vpair v[lanes]) {
#define EXCHANGE(step, low, high)                          \
  for (int i = 0; i < lanes; i++)                          \
    if (!(i & step)) {                                     \
      vpair a = v[i], b = v[i + step];                     \
      v[i] = __builtin_shufflevector(a, b, low);           \
      v[i + step] = __builtin_shufflevector(a, b, high);   \
    }
#define LIST(...) __VA_ARGS__
  EXCHANGE(1, LIST(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
           LIST(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
  EXCHANGE(2, LIST(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
           LIST(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
  EXCHANGE(4, LIST(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
           LIST(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
  EXCHANGE(8, LIST(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
           LIST(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
#undef EXCHANGE
#undef LIST
}

INLINE ptrdiff_t up_to_multiple(ptrdiff_t count, ptrdiff_t of) { return (count + of - 1) / of * of; }

/// For x·rowsᵀ: pairs of neighbours in a row stay together, rows become columns.
static void pack_rows_as_columns(ck_rows x, ptrdiff_t rows, ptrdiff_t columns, void *packed) {
  const uint16_t *from = x.data;
  uint32_t *out = packed;
  ptrdiff_t pairs = up_to_multiple(columns, ck_packed_inputs) / 2;
  for (ptrdiff_t row = 0; row < up_to_multiple(rows, ck_packed_columns); row += lanes)
    for (ptrdiff_t pair = 0; pair < pairs; pair += lanes) {
      vpair v[lanes];
      ptrdiff_t left = columns - 2 * pair, elements = left < 2 * lanes ? left : 2 * lanes;
      for (ptrdiff_t i = 0; i < lanes; i++) {
        v[i] = (vpair){};
        if (row + i >= rows) continue;
        const uint16_t *p = from + (row + i) * x.stride + 2 * pair;
        if (elements == 2 * lanes) __builtin_memcpy(&v[i], p, sizeof v[i]);
        else if (elements > 0) __builtin_memcpy(&v[i], p, (size_t)elements * sizeof *p);
      }
      transpose_pairs(v);
      uint32_t *block = out + row / ck_packed_columns * pairs * ck_packed_columns;
      for (ptrdiff_t i = 0; i < lanes; i++)
        __builtin_memcpy(
          block + (pair + i) * ck_packed_columns + row % ck_packed_columns, &v[i], sizeof v[i]);
    }
}

/// For x·rows: rows pair up with their neighbours.
static void pack_rows(ck_rows x, ptrdiff_t rows, ptrdiff_t columns, void *packed) {
  const uint16_t *from = x.data;
  uint32_t *out = packed;
  ptrdiff_t pairs = up_to_multiple(rows, ck_packed_inputs) / 2;
  for (ptrdiff_t column = 0; column < up_to_multiple(columns, ck_packed_columns); column += lanes)
    for (ptrdiff_t pair = 0; pair < pairs; pair++) {
      vh low = {}, high = {};
      ptrdiff_t left = columns - column, elements = left < lanes ? left : lanes;
      const uint16_t *p = from + 2 * pair * x.stride + column;
      if (elements == lanes && 2 * pair + 1 < rows) {
        __builtin_memcpy(&low, p, sizeof low);
        __builtin_memcpy(&high, p + x.stride, sizeof high);
      } else if (elements > 0) {
        size_t bytes = (size_t)elements * sizeof *p;
        if (2 * pair < rows) __builtin_memcpy(&low, p, bytes);
        if (2 * pair + 1 < rows) __builtin_memcpy(&high, p + x.stride, bytes);
      }
      vpair both = (vpair)__builtin_convertvector(low, vu) | (vpair)__builtin_convertvector(high, vu) << 16;
      uint32_t *block = out + column / ck_packed_columns * pairs * ck_packed_columns;
      __builtin_memcpy(
        block + pair * ck_packed_columns + column % ck_packed_columns, &both, sizeof both);
    }
}

/// 2ˣ for x ≤ 0 (or NaN), within 2⁻²⁰; 0 where it is no normal number.
/// x = n + r, |r| ≤ 1/2: 2ʳ by its Taylor series, n added to the exponent.
INLINE vf power_of_two(vf x) {
  const float rounder = 12582912.0f;
  vf shifted = x + rounder;
  vf r = x - (shifted - rounder);
  vf p = splat(1.3333558e-3f);
  p = p * r + 9.6181291e-3f;
  p = p * r + 5.5504109e-2f;
  p = p * r + 2.4022651e-1f;
  p = p * r + 6.9314718e-1f;
  p = p * r + 1.0f;
  vf power = (vf)((vi)p + ((vi)shifted << 23));
  return select(x < -126.0f, splat(0), select(x == x, power, x));
}

/// Not for NaN.
INLINE vh to_bf16_finite(vf v) {
  vu bits = (vu)v;
  return __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, vh);
}

INLINE void weigh_row(
  const ck_weigh_arguments *a, ptrdiff_t row, const float *bias, const float *mask
) {
  const float log2e = 1.44269504f;
  ck_rows x = row_at(typed(a->x, ck_f32), row), out = row_at(typed(a->out, ck_bf16), row);
  vf high = splat(-__builtin_inff());
  EACH_VECTOR(a->columns, {
    vf v = load(x, c, n) * a->scale;
    if (bias) v += load_f32(bias, c, n);
    if (mask) v += load_f32(mask, c, n);
    if (bias || mask) store(x, c, n, v);
    for (ptrdiff_t lane = n; lane < lanes; lane++) v[lane] = v[0];
    high = maximum(v, high);
  });
  float before = a->is_first ? -__builtin_inff() : a->top[row], top = max_lanes(high);
  if (before > top) top = before;
  a->top[row] = top;
  // Where nothing can be seen so far, e⁻∞ is to be 0.
  float base = (top == -__builtin_inff() ? 0 : top) * log2e;
  float factor = bias || mask ? log2e : a->scale * log2e;
  vf sum = {};
  EACH_VECTOR(a->columns, {
    vf v = first_lanes(power_of_two(load(x, c, n) * factor - base), n);
    sum += v;
    vh bits = to_bf16_finite(v);
    __builtin_memcpy((uint16_t *)out.data + c, &bits, (size_t)n * sizeof(uint16_t));
  });
  ptrdiff_t rest = a->padded_columns - a->columns;
  __builtin_memset((uint16_t *)out.data + a->columns, 0, (size_t)rest * sizeof(uint16_t));
  if (a->is_first) {
    a->sum[row] = sum_lanes(sum);
    return;
  }
  float fade = power_of_two(splat(before * log2e - base))[0];
  a->sum[row] = a->sum[row] * fade + sum_lanes(sum);
  ck_rows average = row_at(typed(a->average, ck_f32), row);
  EACH_VECTOR(a->width, store(average, c, n, load(average, c, n) * fade););
}

static void weigh(const ck_weigh_arguments *a) {
  for (ptrdiff_t row = 0; row < a->rows; row++) {
    if (!a->bias && !a->mask) weigh_row(a, row, NULL, NULL);
    else weigh_row(a, row, a->bias ? a->bias + row * a->bias_stride : NULL, a->mask);
  }
}

static void divide_rows(
  ck_rows x, const float *divisors, ck_rows out, ptrdiff_t rows, ptrdiff_t columns
) {
  for (ptrdiff_t row = 0; row < rows; row++) {
    ck_rows from = row_at(typed(x, ck_f32), row), to = row_at(typed(out, ck_bf16), row);
    float factor = 1.0f / divisors[row];
    EACH_VECTOR(columns, store(to, c, n, load(from, c, n) * factor););
  }
}
