// Softmax of attention scores, with what is added to them.
#include "simd.h"

static void softmax(const ck_softmax_arguments *a) {
  for (ptrdiff_t i = 0; i < a->rows; i++) {
    ck_rows x = row_at(a->x, i), out = row_at(a->out, i);
    const float *bias = a->bias ? a->bias + i * a->bias_stride : NULL;
    vf top = splat(-__builtin_inff());
    for (ptrdiff_t c = 0; c < a->columns; c += lanes) {
      ptrdiff_t n = a->columns - c;
      vf v = load(x, c, n) * a->scale;
      if (bias) v += load_f32(bias, c, n);
      if (a->mask) v += load_f32(a->mask, c, n);
      store(x, c, n, v);
      if (n < lanes)
        for (ptrdiff_t lane = n; lane < lanes; lane++) v[lane] = v[0];
      top = maximum(v, top);
    }
    float highest = max_lanes(top);
    vf sum = {};
    for (ptrdiff_t c = 0; c < a->columns; c += lanes) {
      ptrdiff_t n = a->columns - c;
      vf v = first_lanes(exponential(load(x, c, n) - highest), n);
      store(x, c, n, v);
      sum += v;
    }
    float factor = 1.0f / sum_lanes(sum);
    for (ptrdiff_t c = 0; c < a->columns; c += lanes)
      store(out, c, a->columns - c, load(x, c, a->columns - c) * factor);
  }
}
