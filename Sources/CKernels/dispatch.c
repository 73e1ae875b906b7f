#include "kernels/table.h"

ck_level ck_best_level(void) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
      && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
      && __builtin_cpu_supports("fma"))
    return ck_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
      && __builtin_cpu_supports("f16c"))
    return ck_avx2;
#endif
  return ck_baseline;
}

static const kernel_table *table(ck_level level) {
  switch (level) {
#ifdef __x86_64__
    case ck_avx512: return &kernels_avx512;
    case ck_avx2: return &kernels_avx2;
#endif
    default: return &kernels_baseline;
  }
}

typedef struct {
  ck_kernel kernel;
  const void *arguments;
  ptrdiff_t count, each;
} kernel_run;

static void run_part(const void *context, ptrdiff_t begin, ptrdiff_t end, int32_t thread) {
  const kernel_run *run = context;
  ptrdiff_t last = end * run->each;
  run->kernel(run->arguments, begin * run->each, last < run->count ? last : run->count);
  (void)thread;
}

/// Runs a kernel over `count` items of `size` elements each, in parts that are worth handing out.
static void run(
  ck_team team, ptrdiff_t count, ptrdiff_t size, ck_kernel kernel, const void *arguments
) {
  const ptrdiff_t worthwhile = 32768;  // about 20 µs
  ptrdiff_t each = size < worthwhile ? worthwhile / (size > 0 ? size : 1) : 1;
  kernel_run context = {kernel, arguments, count, each};
  ck_parallel(team, team.threads, (count + each - 1) / each, run_part, &context);
}

void ck_layer_norm(ck_team team, const ck_layer_norm_arguments *a) {
  run(team, a->rows, a->columns, table(team.level)->layer_norm, a);
}

static ptrdiff_t norm_chunks(const ck_layer_norm_arguments *a) {
  return (a->rows_per_group + norm_chunk - 1) / norm_chunk;
}

ptrdiff_t ck_layer_norm_mean_scratch(const ck_layer_norm_arguments *a) {
  return a->rows / a->rows_per_group * norm_chunks(a) * a->columns;
}

void ck_layer_norm_mean(ck_team team, const ck_layer_norm_arguments *a, float *partial) {
  layer_norm_mean_context context = {a, norm_chunks(a), partial};
  ptrdiff_t batch = a->rows / a->rows_per_group;
  run(team, batch * context.chunks, norm_chunk * a->columns,
      table(team.level)->layer_norm_sum, &context);
  run(team, batch, context.chunks * a->columns, table(team.level)->layer_norm_mean, &context);
}

void ck_rms_norm(ck_team team, const ck_rms_norm_arguments *a) {
  run(team, a->rows, a->columns, table(team.level)->rms_norm, a);
}

ptrdiff_t ck_group_norm_scratch(const ck_group_norm_arguments *a) {
  return a->batch * (group_norm_chunks(a) + 1) * 2 * a->channels;
}

void ck_group_norm(ck_team team, const ck_group_norm_arguments *a) {
  const kernel_table *kernels = table(team.level);
  ptrdiff_t chunks = a->batch * group_norm_chunks(a), size = group_norm_chunk * a->channels;
  run(team, chunks, size, kernels->group_norm_sums, a);
  run(team, a->batch * a->groups, group_norm_chunks(a) * a->channels / a->groups,
      kernels->group_norm_factors, a);
  run(team, chunks, size, kernels->group_norm_apply, a);
}

void ck_softmax(ck_level level, const ck_softmax_arguments *a) { table(level)->softmax(a); }

void ck_pack_rows(ck_level level, ck_rows x, ptrdiff_t rows, ptrdiff_t columns, void *packed) {
  table(level)->pack_rows(x, rows, columns, packed);
}

void ck_pack_rows_as_columns(
  ck_level level, ck_rows x, ptrdiff_t rows, ptrdiff_t columns, void *packed
) {
  table(level)->pack_rows_as_columns(x, rows, columns, packed);
}

void ck_weigh(ck_level level, const ck_weigh_arguments *a) { table(level)->weigh(a); }

void ck_prepare_mask(ck_level level, const float *mask, ptrdiff_t columns, float *out) {
  table(level)->prepare_mask(mask, columns, out);
}

size_t ck_short_attention_scratch(ptrdiff_t keys, ptrdiff_t width) {
  ptrdiff_t stride = (width + 31) / 32 * 32, padded = (keys + 15) / 16 * 16;
  return (size_t)((padded + keys + 8) * stride) * sizeof(float);
}

void ck_short_attention(ck_level level, const ck_short_attention_arguments *a) {
  table(level)->short_attention(a);
}

void ck_divide_rows(
  ck_level level, ck_rows x, const float *divisors, ck_rows out, ptrdiff_t rows, ptrdiff_t columns
) {
  table(level)->divide_rows(x, divisors, out, rows, columns);
}

void ck_finish(ck_level level, const ck_finish_arguments *a) { table(level)->finish(a); }

void ck_convert(ck_level level, ck_rows x, ck_rows out, ptrdiff_t rows, ptrdiff_t columns) {
  ck_map_arguments a = {
    .operation = ck_copy, .x = x, .out = out, .rows = rows, .columns = columns};
  table(level)->map(&a, 0, rows);
}

void ck_map(ck_team team, const ck_map_arguments *a) {
  run(team, a->rows, a->columns, table(team.level)->map, a);
}

void ck_broadcast_add(ck_team team, const ck_broadcast_add_arguments *a) {
  run(team, a->rows, a->columns, table(team.level)->broadcast_add, a);
}

void ck_gather(ck_team team, const ck_gather_arguments *a) {
  run(team, a->rows, a->columns, table(team.level)->gather, a);
}

void ck_adaptive_average(ck_team team, const ck_grid_arguments *a) {
  ptrdiff_t cells = a->batch * a->to_height * a->to_width;
  ptrdiff_t each = a->from_height * a->from_width / (a->to_height * a->to_width) + 1;
  run(team, cells, each * a->columns, table(team.level)->adaptive_average, a);
}

void ck_nearest(ck_team team, const ck_grid_arguments *a) {
  run(team, a->batch * a->to_height * a->to_width, a->columns, table(team.level)->nearest, a);
}

void ck_patchify(ck_team team, const ck_patch_arguments *a) {
  run(team, a->batch * (a->height / a->patch), a->width * a->patch * a->channels,
      table(team.level)->patchify, a);
}

void ck_unpatchify(ck_team team, const ck_patch_arguments *a) {
  run(team, a->batch * (a->height / a->patch), a->width * a->patch * a->channels,
      table(team.level)->unpatchify, a);
}

bool ck_all_finite(ck_team team, ck_rows x, ptrdiff_t rows, ptrdiff_t columns) {
  int32_t found = 0;
  not_finite_context context = {x, columns, &found};
  run(team, rows, columns, table(team.level)->find_not_finite, &context);
  return found == 0;
}
