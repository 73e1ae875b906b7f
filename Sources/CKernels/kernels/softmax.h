// Softmax of attention scores, with what is added to them.
#include "simd.h"

/// What is added to the scores is known at compile time: most attention adds nothing.
INLINE void softmax_typed(
  const ck_softmax_arguments *a, ck_type to, const float *all_bias, const float *mask
) {
  for (ptrdiff_t i = 0; i < a->rows; i++) {
    ck_rows x = row_at(typed(a->x, ck_f32), i), out = row_at(typed(a->out, to), i);
    const float *bias = all_bias ? all_bias + i * a->bias_stride : NULL;
    vf top = splat(-__builtin_inff());
    EACH_VECTOR(a->columns, {
      vf v = load(x, c, n) * a->scale;
      if (bias) v += load_f32(bias, c, n);
      if (mask) v += load_f32(mask, c, n);
      store(x, c, n, v);
      for (ptrdiff_t lane = n; lane < lanes; lane++) v[lane] = v[0];
      top = maximum(v, top);
    });
    float highest = max_lanes(top);
    vf sum = {};
    EACH_VECTOR(a->columns, {
      vf v = first_lanes(exponential(load(x, c, n) - highest), n);
      store(x, c, n, v);
      sum += v;
    });
    float factor = 1.0f / sum_lanes(sum);
    EACH_VECTOR(a->columns, store(out, c, n, load(x, c, n) * factor););
  }
}

static void softmax(const ck_softmax_arguments *a) {
  bool plain = !a->bias && !a->mask;
  if (plain && a->out.type == ck_f32) softmax_typed(a, ck_f32, NULL, NULL);
  else if (plain && a->out.type == ck_bf16) softmax_typed(a, ck_bf16, NULL, NULL);
  else softmax_typed(a, a->out.type, a->bias, a->mask);
}
