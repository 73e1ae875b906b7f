// Element by element: conversion, scaling, SiLU, sums and products, rows added to many rows,
// rows looked up in a table, the search for what is not a number.
#include "simd.h"

INLINE void map_typed(
  const ck_map_arguments *a, ptrdiff_t begin, ptrdiff_t end, ck_type from, ck_type to
) {
  for (ptrdiff_t i = begin; i < end; i++) {
    ck_rows x = row_at(typed(a->x, from), i), out = row_at(typed(a->out, to), i);
    ck_rows y = row_at(a->y, i);
    EACH_VECTOR(a->columns, {
      vf v = load(x, c, n);
      switch (a->operation) {
        case ck_copy: break;
        case ck_scale: v *= a->factor; break;
        case ck_silu: v = silu(v); break;
        case ck_add: v += load(y, c, n); break;
        case ck_multiply: v *= load(y, c, n); break;
      }
      store(out, c, n, v);
    });
  }
}
static void map(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_map_arguments *a = context;
  BY_TYPES(map_typed, a, begin, end);
}

static void broadcast_add(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_broadcast_add_arguments *a = context;
  for (ptrdiff_t i = begin; i < end; i++) {
    ck_rows x = row_at(typed(a->x, ck_f32), i);
    const float *row = a->row + i / a->row_divisor % a->row_count * a->row_stride;
    const float *gate = a->gate ? a->gate + i / a->rows_per_group * a->gate_stride : NULL;
    EACH_VECTOR(a->columns, {
      vf v = load_f32(row, c, n);
      if (gate) v *= load_f32(gate, c, n);
      store(x, c, n, load(x, c, n) + v);
    });
  }
}

/// x/2·(1 + tanh(u)) = x/(1 + e⁻²ᵘ) with u = √(2/π)·(x + 0.044715·x³).
INLINE vf gelu_tanh(vf x) {
  vf u = 0.7978845608f * (x + 0.044715f * x * x * x);
  return x / (1.0f + exponential(-2.0f * u));
}

INLINE void finish_typed(
  const ck_finish_arguments *a, ck_type to, ck_activation activation, bool gated, bool factored
) {
  for (ptrdiff_t i = 0; i < a->rows; i++) {
    ck_rows y = row_at(typed(a->y, ck_f32), i), out = row_at(typed(a->out, to), i);
    ck_rows factor = factored ? row_at(a->factor, i) : a->factor;
    EACH_VECTOR(a->columns, {
      vf v = load(y, c, n);
      if (activation == ck_gelu_tanh) v = gelu_tanh(v);
      if (activation == ck_sigmoid_linear) v = silu(v);
      if (gated) v *= load_f32(a->gate, c, n);
      if (factored) v *= load(factor, c, n);
      if (a->residual) v += load(out, c, n);
      store(out, c, n, v);
    });
  }
}
static void finish(const ck_finish_arguments *a) {
  bool gated = a->gate != NULL, factored = a->factor.data != NULL, plain = !gated && !factored;
  if (a->out.type == ck_f32 && a->activation == ck_identity && gated && !factored)
    finish_typed(a, ck_f32, ck_identity, true, false);
  else if (a->out.type == ck_f32 && a->activation == ck_gelu_tanh && plain)
    finish_typed(a, ck_f32, ck_gelu_tanh, false, false);
  else
    finish_typed(a, a->out.type, a->activation, gated, factored);
}

static void gather(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_gather_arguments *a = context;
  for (ptrdiff_t i = begin; i < end; i++) {
    ck_rows from = row_at(a->table, a->ids[i]), out = row_at(a->out, i);
    EACH_VECTOR(a->columns, store(out, c, n, load(from, c, n)););
  }
}

static void find_not_finite(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const not_finite_context *a = context;
  vi found = {};
  for (ptrdiff_t i = begin; i < end; i++) {
    ck_rows x = row_at(a->x, i);
    EACH_VECTOR(a->columns, {
      // x − x is 0 for a number, NaN for ∞ and NaN.
      vf v = load(x, c, n);
      vf difference = v - v;
      found |= difference != difference;
    });
  }
  for (int i = 0; i < lanes; i++)
    if (found[i]) __atomic_store_n(a->found, 1, __ATOMIC_RELAXED);
}
