// Images with channels first to rows of patches and back. One item is a row of tokens. Few
// channels and short runs: one element at a time, memory decides the speed.
#include "simd.h"

INLINE float *image_at(
  const ck_patch_arguments *a, ptrdiff_t batch, ptrdiff_t channel, ptrdiff_t row, ptrdiff_t column
) {
  return a->image + ((batch * a->channels + channel) * a->height + row) * a->width + column;
}

INLINE void put(ck_rows row, ptrdiff_t index, float value) {
  if (row.type == ck_f32) ((float *)row.data)[index] = value;
  else store(row, index, 1, splat(value));
}
INLINE float get(ck_rows row, ptrdiff_t index) {
  return row.type == ck_f32 ? ((const float *)row.data)[index] : load(row, index, 1)[0];
}

static void patchify(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_patch_arguments *a = context;
  ptrdiff_t p = a->patch, across = a->width / p, down = a->height / p;
  for (ptrdiff_t item = begin; item < end; item++)
    for (ptrdiff_t u = 0; u < across; u++) {
      ck_rows token = row_at(a->tokens, item * across + u);
      for (ptrdiff_t c = 0; c < a->channels; c++)
        for (ptrdiff_t i = 0; i < p; i++) {
          const float *from = image_at(a, item / down, c, item % down * p + i, u * p);
          for (ptrdiff_t j = 0; j < p; j++) put(token, (c * p + i) * p + j, from[j]);
        }
    }
}

static void unpatchify(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_patch_arguments *a = context;
  ptrdiff_t p = a->patch, across = a->width / p, down = a->height / p;
  for (ptrdiff_t item = begin; item < end; item++)
    for (ptrdiff_t u = 0; u < across; u++) {
      ck_rows token = row_at(a->tokens, item * across + u);
      for (ptrdiff_t c = 0; c < a->channels; c++)
        for (ptrdiff_t i = 0; i < p; i++) {
          float *to = image_at(a, item / down, c, item % down * p + i, u * p);
          for (ptrdiff_t j = 0; j < p; j++) to[j] = get(token, (i * p + j) * a->channels + c);
        }
    }
}
