// Grids of tokens: pooled to coarser ones, repeated to finer ones. One item is a cell of the
// result.
#include "simd.h"

static void adaptive_average(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_grid_arguments *a = context;
  ptrdiff_t cells = a->to_height * a->to_width;
  for (ptrdiff_t item = begin; item < end; item++) {
    ptrdiff_t batch = item / cells, row = item % cells / a->to_width, column = item % a->to_width;
    ptrdiff_t top = row * a->from_height / a->to_height;
    ptrdiff_t bottom = ((row + 1) * a->from_height + a->to_height - 1) / a->to_height;
    ptrdiff_t left = column * a->from_width / a->to_width;
    ptrdiff_t right = ((column + 1) * a->from_width + a->to_width - 1) / a->to_width;
    ck_rows x = row_at(a->x, batch * a->from_height * a->from_width);
    float count = (float)((bottom - top) * (right - left));
    EACH_VECTOR(a->columns, {
      vf sum = {};
      for (ptrdiff_t i = top; i < bottom; i++)
        for (ptrdiff_t j = left; j < right; j++)
          sum += load(row_at(x, i * a->from_width + j), c, n);
      store(row_at(a->out, item), c, n, sum / count);
    });
  }
}

static void nearest(const void *context, ptrdiff_t begin, ptrdiff_t end) {
  const ck_grid_arguments *a = context;
  ptrdiff_t cells = a->to_height * a->to_width;
  for (ptrdiff_t item = begin; item < end; item++) {
    ptrdiff_t batch = item / cells, row = item % cells / a->to_width, column = item % a->to_width;
    ptrdiff_t source = batch * a->from_height * a->from_width
      + row * a->from_height / a->to_height * a->from_width
      + column * a->from_width / a->to_width;
    ck_rows x = row_at(a->x, source), out = row_at(a->out, item);
    EACH_VECTOR(a->columns, store(out, c, n, load(x, c, n)););
  }
}
