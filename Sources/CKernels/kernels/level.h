// Compiles all kernels for the instruction set that the including file has switched on, into the
// table that it names with KERNEL_TABLE.
#include "attention.h"
#include "elementwise.h"
#include "grid.h"
#include "group_norm.h"
#include "norm.h"
#include "patch.h"
#include "short_attention.h"
#include "softmax.h"

const kernel_table KERNEL_TABLE = {
  .layer_norm = layer_norm,
  .layer_norm_sum = layer_norm_sum,
  .layer_norm_mean = layer_norm_mean,
  .rms_norm = rms_norm,
  .group_norm_sums = group_norm_sums,
  .group_norm_factors = group_norm_factors,
  .group_norm_apply = group_norm_apply,
  .map = map,
  .broadcast_add = broadcast_add,
  .gather = gather,
  .find_not_finite = find_not_finite,
  .adaptive_average = adaptive_average,
  .nearest = nearest,
  .patchify = patchify,
  .unpatchify = unpatchify,
  .softmax = softmax,
  .finish = finish,
  .pack_rows = pack_rows,
  .pack_rows_as_columns = pack_rows_as_columns,
  .weigh = weigh,
  .prepare_mask = prepare_mask,
  .short_attention = short_attention,
  .divide_rows = divide_rows,
};
