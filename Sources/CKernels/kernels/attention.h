// What attention in bf16 needs beside its two products: operands in the order that those read, and the
// weights between them.
#pragma once
#include "simd.h"

typedef uint32_t vpair __attribute__((vector_size(64)));
static const float log2_e = 1.44269504f;

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

typedef uint16_t vwide __attribute__((vector_size(64)));
enum { wide_lanes = 2 * lanes };

/// The first n ≤ 32 elements from p on, zeros behind. Where `goes_on`, what lies behind may be read.
INLINE vwide load_wide(const uint16_t *p, ptrdiff_t n, bool goes_on) {
  vwide v = {};
  if (n <= 0) return v;
  if (n >= wide_lanes || goes_on) __builtin_memcpy(&v, p, sizeof v);
  else for (ptrdiff_t i = 0; i < n; i++) v[i] = p[i];
  if (n >= wide_lanes) return v;
  const vwide index = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                       16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
  return v & (vwide)(index < (uint16_t)n);
}

/// Whether 32 elements from anywhere in a row on lie in the memory of all rows.
INLINE bool row_goes_on(ck_rows x, ptrdiff_t row, ptrdiff_t rows) {
  return row + 1 < rows && x.stride >= wide_lanes;
}

/// For x·rowsᵀ: pairs of neighbours in a row stay together, rows become columns.
static void pack_rows_as_columns(ck_rows x, ptrdiff_t rows, ptrdiff_t columns, void *packed) {
  uint32_t *out = packed;
  ptrdiff_t pairs = up_to_multiple(columns, ck_packed_inputs) / 2;
  for (ptrdiff_t row = 0; row < up_to_multiple(rows, ck_packed_columns); row += lanes) {
    uint32_t *block = out + row / ck_packed_columns * pairs * ck_packed_columns;
    block += row % ck_packed_columns;
    for (ptrdiff_t pair = 0; pair < pairs; pair += lanes) {
      vpair v[lanes];
      for (ptrdiff_t i = 0; i < lanes; i++) {
        const uint16_t *p = (const uint16_t *)x.data + (row + i) * x.stride + 2 * pair;
        bool exists = row + i < rows;
        v[i] = (vpair)load_wide(p, exists ? columns - 2 * pair : 0, row_goes_on(x, row + i, rows));
      }
      transpose_pairs(v);
      for (ptrdiff_t i = 0; i < lanes; i++)
        __builtin_memcpy(block + (pair + i) * ck_packed_columns, &v[i], sizeof v[i]);
    }
  }
}

/// For x·rows: rows pair up with their neighbours.
static void pack_rows(ck_rows x, ptrdiff_t rows, ptrdiff_t columns, void *packed) {
  uint32_t *out = packed;
  ptrdiff_t pairs = up_to_multiple(rows, ck_packed_inputs) / 2;
  ptrdiff_t whole = up_to_multiple(columns, ck_packed_columns);
  for (ptrdiff_t pair = 0; pair < pairs; pair++)
    for (ptrdiff_t column = 0; column < whole; column += wide_lanes) {
      vwide v[2];
      for (ptrdiff_t i = 0; i < 2; i++) {
        ptrdiff_t row = 2 * pair + i;
        const uint16_t *p = (const uint16_t *)x.data + row * x.stride + column;
        v[i] = load_wide(p, row < rows ? columns - column : 0, row_goes_on(x, row, rows));
      }
      vwide both[2] = {
        __builtin_shufflevector(
          v[0], v[1], 0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42,
          11, 43, 12, 44, 13, 45, 14, 46, 15, 47),
        __builtin_shufflevector(
          v[0], v[1], 16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55, 24, 56, 25,
          57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63)};
      uint32_t *block = out + column / ck_packed_columns * pairs * ck_packed_columns;
      block += pair * ck_packed_columns + column % ck_packed_columns;
      __builtin_memcpy(block, both, sizeof both);
    }
}

/// 2ˣ for x ≤ 0 (or NaN), within 2⁻¹⁴, a small part of what rounding to bf16 takes; 0 where it is no
/// normal number. x = n + r, |r| ≤ 1/2: 2ʳ by its Taylor series, n added to the exponent.
INLINE vf power_of_two(vf x) {
  const float rounder = 12582912.0f;
  vf shifted = x + rounder;
  vf r = x - (shifted - rounder);
  vf p = splat(9.6181291e-3f);
  p = p * r + 5.5504109e-2f;
  p = p * r + 2.4022651e-1f;
  p = p * r + 6.9314718e-1f;
  p = p * r + 1.0f;
  vf power = (vf)((vi)p + ((vi)shifted << 23));
  return select(x < -126.0f, splat(0), select(x == x, power, x));
}

/// Of numbers from 0 to 1: rounds to nearest, and ties up.
INLINE vh weight_to_bf16(vf v) {
  return __builtin_convertvector(((vu)v + 0x8000) >> 16, vh);
}

/// The highest lane; NaN is none.
INLINE float highest_lane(vf v) {
  v = maximum(v, __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  v = maximum(v, __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3));
  v = maximum(v, __builtin_shufflevector(v, v, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1));
  return v[0] > v[1] ? v[0] : v[1];
}

/// Scores c ..< c + 16 of a row, of which n exist, as powers of two: all but the bias have been scaled.
INLINE vf weigh_score(
  const float *x, float scale, const float *bias, const float *mask, ptrdiff_t c, ptrdiff_t n
) {
  vf v = load_f32(x, c, lanes) * scale;
  if (bias) v += load_f32(bias, c, n) * log2_e;
  if (mask) v += load_f32(mask, c, lanes);
  return v;
}

/// One row; `bias` and `mask` are constants for the compiler where there are none. Lanes beyond the
/// columns have a mask of −∞.
INLINE void weigh_row(
  const ck_weigh_arguments *a, ptrdiff_t row, const float *bias, const float *mask
) {
  const ptrdiff_t columns = a->columns;
  const float scale = a->scale * log2_e;
  const float *x = (const float *)a->x.data + row * a->x.stride;
  uint16_t *out = (uint16_t *)a->out.data + row * a->out.stride;
  vf high = splat(-__builtin_inff());
  EACH_VECTOR(columns, high = maximum(weigh_score(x, scale, bias, mask, c, n), high););
  float before = a->is_first ? -__builtin_inff() : a->top[row], top = highest_lane(high);
  if (before > top) top = before;
  a->top[row] = top;
  // Where nothing can be seen so far, 2⁻∞ is to be 0.
  const float base = top == -__builtin_inff() ? 0 : top;
  vf sum = {};
  EACH_VECTOR(columns, {
    vf v = power_of_two(weigh_score(x, scale, bias, mask, c, n) - base);
    sum += v;
    vh bits = weight_to_bf16(v);
    __builtin_memcpy(out + c, &bits, sizeof bits);
  });
  const vh none = {};
  for (ptrdiff_t c = up_to_multiple(columns, lanes); c < a->padded_columns; c += lanes)
    __builtin_memcpy(out + c, &none, sizeof none);
  if (a->is_first) {
    a->sum[row] = sum_lanes(sum);
    return;
  }
  float fade = power_of_two(splat(before - base))[0];
  a->sum[row] = a->sum[row] * fade + sum_lanes(sum);
  ck_rows average = row_at(typed(a->average, ck_f32), row);
  EACH_VECTOR(a->width, store(average, c, n, load(average, c, n) * fade););
}

static void weigh(const ck_weigh_arguments *a) {
  if (!a->bias && !a->mask)
    for (ptrdiff_t row = 0; row < a->rows; row++) weigh_row(a, row, NULL, NULL);
  else if (!a->bias)
    for (ptrdiff_t row = 0; row < a->rows; row++) weigh_row(a, row, NULL, a->mask);
  else
    for (ptrdiff_t row = 0; row < a->rows; row++)
      weigh_row(a, row, a->bias + row * a->bias_stride, a->mask);
}

static void prepare_mask(const float *mask, ptrdiff_t columns, float *out) {
  for (ptrdiff_t c = 0; c < up_to_multiple(columns, lanes); c++) {
    float v = c >= columns ? -__builtin_inff() : mask ? mask[c] * log2_e : 0;
    // A number that hides a key must not become −∞, which can be seen by nothing at all.
    if (c < columns && mask && v == -__builtin_inff() && mask[c] != v) v = -__FLT_MAX__;
    out[c] = v;
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
