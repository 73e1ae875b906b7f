// Sixteen floats at a time, whatever the CPU: the compiler splits a vector into the registers
// that its target has. Sums always have sixteen lanes, added up in one order.
#pragma once
#include "CKernels.h"

typedef float vf __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));
typedef uint32_t vu __attribute__((vector_size(64)));
typedef uint16_t vh __attribute__((vector_size(32)));
typedef _Float16 vhalf __attribute__((vector_size(32)));
enum { lanes = 16 };

#define INLINE static inline __attribute__((always_inline, unused))

INLINE ptrdiff_t type_size(ck_type type) { return type == ck_f32 ? 4 : 2; }
INLINE ck_rows row_at(ck_rows rows, ptrdiff_t row) {
  rows.data = (char *)rows.data + row * rows.stride * type_size(rows.type);
  return rows;
}

INLINE vf splat(float x) { return (vf){} + x; }
INLINE vf select(vi condition, vf a, vf b) {
  return (vf)((condition & (vi)a) | (~condition & (vi)b));
}
INLINE vf maximum(vf a, vf b) { return select(a > b, a, b); }

INLINE float sum_lanes(vf v) {
  for (int half = lanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) v[i] += v[i + half];
  return v[0];
}
/// NaN when any lane is.
INLINE float max_lanes(vf v) {
  float top = v[0];
  for (int i = 1; i < lanes; i++) top = v[i] > top || v[i] != v[i] ? v[i] : top;
  return top;
}

/// The first n lanes of v, the others zero.
INLINE vf first_lanes(vf v, ptrdiff_t n) {
  if (n >= lanes) return v;
  const vi index = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return (vf)((vi)v & (index < (int32_t)n));
}

INLINE vf from_bf16(vh bits) { return (vf)(__builtin_convertvector(bits, vu) << 16); }
/// Round to nearest even; NaN stays NaN.
INLINE vh to_bf16(vf v) {
  vu bits = (vu)v;
  vu rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  vu quiet = (bits >> 16) | 0x40;
  vu nan = (vu)(v != v);
  return __builtin_convertvector((nan & quiet) | (~nan & rounded), vh);
}

/// Elements index ..< index + n (n ≤ 16) of a row as f32; lanes beyond are zero.
INLINE vf load(ck_rows row, ptrdiff_t index, ptrdiff_t n) {
  vf v = {};
  if (row.type == ck_f32) {
    const float *p = (const float *)row.data + index;
    if (n >= lanes) __builtin_memcpy(&v, p, sizeof v);
    else for (ptrdiff_t i = 0; i < n; i++) v[i] = p[i];
    return v;
  }
  vh bits = {};
  const uint16_t *p = (const uint16_t *)row.data + index;
  if (n >= lanes) __builtin_memcpy(&bits, p, sizeof bits);
  else for (ptrdiff_t i = 0; i < n; i++) bits[i] = p[i];
  return row.type == ck_bf16 ? from_bf16(bits) : __builtin_convertvector((vhalf)bits, vf);
}

INLINE void store(ck_rows row, ptrdiff_t index, ptrdiff_t n, vf v) {
  if (row.type == ck_f32) {
    float *p = (float *)row.data + index;
    if (n >= lanes) __builtin_memcpy(p, &v, sizeof v);
    else for (ptrdiff_t i = 0; i < n; i++) p[i] = v[i];
    return;
  }
  vh bits = row.type == ck_bf16 ? to_bf16(v) : (vh)__builtin_convertvector(v, vhalf);
  uint16_t *p = (uint16_t *)row.data + index;
  if (n >= lanes) __builtin_memcpy(p, &bits, sizeof bits);
  else for (ptrdiff_t i = 0; i < n; i++) p[i] = bits[i];
}

/// Runs the statements for each vector of a row: c is its first element, n how many it has. Whole
/// vectors and the rest are compiled apart, so that the former do not test for the latter.
#define EACH_VECTOR(columns, ...)                             \
  do {                                                        \
    ptrdiff_t c = 0;                                          \
    for (; c + lanes <= (columns); c += lanes) {              \
      const ptrdiff_t n = lanes;                              \
      __VA_ARGS__                                             \
    }                                                         \
    if (c < (columns)) {                                      \
      const ptrdiff_t n = (columns) - c;                      \
      __VA_ARGS__                                             \
    }                                                         \
  } while (0)

/// Calls body(arguments, begin, end, type of x, type of out) with the usual types as constants,
/// so that each pair is compiled apart.
#define BY_TYPES(body, a, begin, end)                                                 \
  do {                                                                                \
    if ((a)->x.type == ck_f32 && (a)->out.type == ck_f32)                             \
      body(a, begin, end, ck_f32, ck_f32);                                            \
    else if ((a)->x.type == ck_f32 && (a)->out.type == ck_bf16)                       \
      body(a, begin, end, ck_f32, ck_bf16);                                           \
    else if ((a)->x.type == ck_bf16 && (a)->out.type == ck_f32)                       \
      body(a, begin, end, ck_bf16, ck_f32);                                           \
    else                                                                              \
      body(a, begin, end, (a)->x.type, (a)->out.type);                                \
  } while (0)

INLINE ck_rows typed(ck_rows rows, ck_type type) {
  rows.type = type;
  return rows;
}

INLINE vf load_f32(const float *p, ptrdiff_t index, ptrdiff_t n) {
  return load((ck_rows){(void *)p, 0, ck_f32}, index, n);
}

/// eˣ within 2 ulp; 0 below the smallest normal result, ∞ above the largest.
/// x = n·ln 2 + r, |r| ≤ ln 2/2: eʳ by its Taylor series (remainder below 2⁻²⁶), times 2ⁿ.
INLINE vf exponential(vf x) {
  const float top = 88.72283f, bottom = -87.33654f, rounder = 12582912.0f;
  vf clamped = select(x > top, splat(top), select(x < bottom, splat(bottom), x));
  vf n = clamped * 1.44269504f + rounder;
  n -= rounder;
  vf r = clamped - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  vf p = splat(1.0f / 5040);
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  // Two factors, because 2¹²⁸ is not a float. NaN has gone through the polynomial.
  vf whole = select(n == n, n, splat(0));
  vi exponent = __builtin_convertvector(whole, vi);
  vi half = exponent >> 1;
  p = p * (vf)((half + 127) << 23) * (vf)((exponent - half + 127) << 23);
  return select(x < bottom, splat(0), select(x > top, splat(__builtin_inff()), p));
}

INLINE vf silu(vf x) { return x / (1.0f + exponential(-x)); }
