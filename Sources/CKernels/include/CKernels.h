// The operations that oneDNN lacks, on plain memory.
//
// Every kernel is written once with 16-lane vectors (kernels/*.h) and compiled three times: for
// AVX-512, for AVX2 and for any x86-64 or other CPU. Items (rows, grid cells, chunks of pixels)
// are shared among the threads of a team; a reduction never crosses two items, so the result does
// not depend on the number of threads.
//
// Strides and counts are in elements. Nothing here allocates or checks: the caller does.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { ck_f32 = 0, ck_f16 = 1, ck_bf16 = 2 } ck_type;

typedef enum { ck_baseline = 0, ck_avx2 = 1, ck_avx512 = 2 } ck_level;

/// The best level that this CPU and its operating system run.
ck_level ck_best_level(void);

/// Rounding to nearest, no exceptions, no flushing to zero, for the calling thread: a new thread
/// inherits these from the one that starts it.
void ck_default_floating_point(void);

/// Names the calling thread for tools that list threads: 15 bytes at most are kept.
void ck_name_thread(const char *name);

/// Whether the process may map that many more bytes at this moment, under its limits of addresses and
/// of data. Nothing stays mapped.
bool ck_can_map(size_t bytes);

/// The workers of a team.
typedef struct ck_crew ck_crew;

/// Who does the work: the thread that calls, the workers beside it, and the instruction set. One
/// thread at a time may call with a team.
typedef struct {
  /// The caller and its workers.
  int32_t threads;
  ck_level level;
  /// NULL for a team of one.
  ck_crew *crew;
} ck_team;

/// Starts a team of `threads`, 1 … 1024: `threads` − 1 workers with small stacks, all signals blocked,
/// the default floating-point mode and the names "sparsedit-1", …. Each calls `on_start`, which may
/// be NULL, once, before this returns; false means that there is not enough memory for the thread.
/// Workers sleep when there has been nothing to do for some microseconds.
///
/// Returns 0, or the system's error number when a worker could not be started; then
/// `team->threads` says how many threads there could have been, and none has been left behind.
int ck_team_start(int32_t threads, ck_level level, bool (*on_start)(void), ck_team *team);
/// Ends the workers and waits for them.
void ck_team_end(ck_team team);

/// Called with items begin ..< end by the thread of that index in its team, 0 for the caller.
typedef void (*ck_body)(
  const void *context, ptrdiff_t begin, ptrdiff_t end, int32_t thread);
/// Calls body for each of the items 0 ..< count, on at most `most` threads of the team, and returns
/// when all are done. Which thread takes which item is left to chance: an item's result must not
/// depend on it.
void ck_parallel(
  ck_team team, int32_t most, ptrdiff_t count, ck_body body, const void *context);

/// Rows of `columns` elements, `stride` apart.
typedef struct {
  void *data;
  ptrdiff_t stride;
  ck_type type;
} ck_rows;

/// out = norm(x)·(1 + scale) + shift for each row; the norm is LayerNorm without affine part.
/// Row i takes scale and shift (f32, may be NULL) from group i / rows_per_group.
typedef struct {
  ck_rows x, out;
  ptrdiff_t rows, columns;
  float epsilon;
  const float *scale, *shift;
  ptrdiff_t scale_stride, shift_stride, rows_per_group;
} ck_layer_norm_arguments;
void ck_layer_norm(ck_team team, const ck_layer_norm_arguments *arguments);

/// Mean over each batch's `rows_per_group` rows of the above, `scale` and `shift` per batch
/// (stride 0 for all alike): out has a row per batch.
/// `partial`: f32 scratch of ck_layer_norm_mean_scratch() elements.
ptrdiff_t ck_layer_norm_mean_scratch(const ck_layer_norm_arguments *arguments);
void ck_layer_norm_mean(
  ck_team team, const ck_layer_norm_arguments *arguments, float *partial);

/// out = x/√(mean(x²) + ε)·weight for each row.
typedef struct {
  ck_rows x, out;
  ptrdiff_t rows, columns;
  float epsilon;
  const float *weight;
} ck_rms_norm_arguments;
void ck_rms_norm(ck_team team, const ck_rms_norm_arguments *arguments);

/// GroupNorm over channels-last pictures: `pixels` rows of `channels` for each of `batch`; then
/// SiLU if asked. `scratch`: f32, ck_group_norm_scratch() elements.
typedef struct {
  ck_rows x, out;
  ptrdiff_t batch, pixels, channels, groups;
  float epsilon;
  const float *weight, *bias;
  bool silu;
  float *scratch;
} ck_group_norm_arguments;
ptrdiff_t ck_group_norm_scratch(const ck_group_norm_arguments *arguments);
void ck_group_norm(ck_team team, const ck_group_norm_arguments *arguments);

/// out = softmax(scale·x + bias + mask) for each row; single-threaded, for use inside a parallel
/// region. Bias rows are `bias_stride` apart; the mask is one row. Both may be NULL.
/// A row that is -∞ everywhere becomes NaN, as in PyTorch.
typedef struct {
  ck_rows x, out;
  ptrdiff_t rows, columns;
  float scale;
  const float *bias, *mask;
  ptrdiff_t bias_stride;
} ck_softmax_arguments;
void ck_softmax(ck_level level, const ck_softmax_arguments *arguments);

/// Packed operands of products in bf16, as oneDNN reads them (its format BA16a64b2a): blocks of 64
/// columns, one after the other; in each, pairs of inputs (rows of the operand) for all of its columns.
/// Filled up with zeros to whole blocks, and to a multiple of 32 inputs.
enum { ck_packed_columns = 64, ck_packed_inputs = 32 };
/// Packs bf16 rows [rows, columns] to be multiplied as they are: rows are the inputs. Single-threaded,
/// like all below that take a level and no team.
void ck_pack_rows(
  ck_level level, ck_rows x, ptrdiff_t rows, ptrdiff_t columns, void *packed);
/// Packs bf16 rows [rows, columns] to be multiplied transposed: columns are the inputs.
void ck_pack_rows_as_columns(
  ck_level level, ck_rows x, ptrdiff_t rows, ptrdiff_t columns, void *packed);

/// A block of keys in a softmax that goes block by block: out = e^(scale·x + bias + mask − top), where
/// top is the highest number of a row so far; what earlier blocks have come to is scaled to a new top.
typedef struct {
  /// f32 [rows, columns], with readable numbers up to a multiple of 16.
  ck_rows x;
  /// bf16 [rows, padded_columns], a multiple of 16; zeros beyond the columns.
  ck_rows out;
  ptrdiff_t rows, columns, padded_columns;
  float scale;
  /// [rows, columns], `bias_stride` apart; may be NULL.
  const float *bias;
  /// What ck_prepare_mask() made; may be NULL where the columns are a multiple of 16.
  const float *mask;
  ptrdiff_t bias_stride;
  /// [rows]: the highest numbers (times log₂ e), and the sums of weights, of all blocks so far.
  float *top, *sum;
  /// Whether there was no block before.
  bool is_first;
  /// f32 [rows, width]: values weighed by all blocks before.
  ck_rows average;
  ptrdiff_t width;
} ck_weigh_arguments;
void ck_weigh(ck_level level, const ck_weigh_arguments *arguments);

/// A mask, or none (NULL), as ck_weigh() reads it: up to a multiple of 16 columns.
void ck_prepare_mask(ck_level level, const float *mask, ptrdiff_t columns, float *out);

/// Most keys that ck_short_attention() takes.
enum { ck_short_keys = 64 };
/// One head of attention over few keys, in bf16 with sums in f32:
/// out = softmax(scale·q·kᵀ + bias + mask)·v.
typedef struct {
  /// bf16: [queries, width], [keys, width] twice, [queries, width].
  ck_rows q, k, v, out;
  ptrdiff_t queries, keys, width;
  float scale;
  /// [queries, keys], `bias_stride` apart; may be NULL.
  const float *bias;
  ptrdiff_t bias_stride;
  /// What ck_prepare_mask() made.
  const float *mask;
  /// ck_short_attention_scratch() bytes, aligned to 64.
  float *scratch;
} ck_short_attention_arguments;
size_t ck_short_attention_scratch(ptrdiff_t keys, ptrdiff_t width);
void ck_short_attention(ck_level level, const ck_short_attention_arguments *arguments);

/// out (bf16) = x (f32) / divisor of its row.
void ck_divide_rows(
  ck_level level, ck_rows x, const float *divisors, ck_rows out, ptrdiff_t rows,
  ptrdiff_t columns);

typedef enum { ck_identity, ck_gelu_tanh, ck_sigmoid_linear } ck_activation;
/// out = activation(y)·gate·factor + out, what is not wanted left out: the end of a product that is made
/// elsewhere. Single-threaded, for use inside ck_parallel().
typedef struct {
  ck_activation activation;
  /// f32; may be `out` itself.
  ck_rows y;
  ck_rows out;
  /// [rows, columns]; `data` may be NULL.
  ck_rows factor;
  ptrdiff_t rows, columns;
  /// [columns], may be NULL.
  const float *gate;
  /// Whether what `out` holds is added.
  bool residual;
} ck_finish_arguments;
void ck_finish(ck_level level, const ck_finish_arguments *arguments);

/// out = x, converted; single-threaded, for use inside ck_parallel().
void ck_convert(ck_level level, ck_rows x, ck_rows out, ptrdiff_t rows, ptrdiff_t columns);

typedef enum { ck_copy, ck_scale, ck_silu, ck_add, ck_multiply } ck_operation;
/// Element by element, converting types: out = x, factor·x, silu(x), x + y or x·y.
/// out may be x or y.
typedef struct {
  ck_operation operation;
  ck_rows x, y, out;
  ptrdiff_t rows, columns;
  float factor;
} ck_map_arguments;
void ck_map(ck_team team, const ck_map_arguments *arguments);

/// x += gate·row, f32: row i takes row (i / row_divisor) mod row_count, and gate (may be NULL)
/// i / rows_per_group.
typedef struct {
  ck_rows x;
  ptrdiff_t rows, columns;
  const float *row, *gate;
  ptrdiff_t row_stride, row_divisor, row_count, gate_stride, rows_per_group;
} ck_broadcast_add_arguments;
void ck_broadcast_add(ck_team team, const ck_broadcast_add_arguments *arguments);

/// Row i of out is row ids[i] of the table, converted.
typedef struct {
  ck_rows table, out;
  const int32_t *ids;
  ptrdiff_t rows, columns;
} ck_gather_arguments;
void ck_gather(ck_team team, const ck_gather_arguments *arguments);

/// Between grids of tokens, row by row.
typedef struct {
  ck_rows x, out;
  ptrdiff_t batch, columns;
  ptrdiff_t from_height, from_width, to_height, to_width;
} ck_grid_arguments;
/// Mean of each cell, with bin edges floor(i·H/h) … ceil((i+1)·H/h).
void ck_adaptive_average(ck_team team, const ck_grid_arguments *arguments);
/// Nearest neighbour, index floor(i·h/H).
void ck_nearest(ck_team team, const ck_grid_arguments *arguments);

/// Between f32 images [batch, channels, height, width] and rows [batch, tokens, patch·patch·channels].
typedef struct {
  float *image;
  ck_rows tokens;
  ptrdiff_t batch, channels, height, width, patch;
} ck_patch_arguments;
/// Values of a row ordered channel, row, column.
void ck_patchify(ck_team team, const ck_patch_arguments *arguments);
/// Values of a row ordered row, column, channel.
void ck_unpatchify(ck_team team, const ck_patch_arguments *arguments);

/// Whether every element is a finite number.
bool ck_all_finite(ck_team team, ck_rows x, ptrdiff_t rows, ptrdiff_t columns);

#ifdef __cplusplus
}
#endif
