/*
 * sparsedit.h - the C interface of libsparsedit, a text-to-image engine for any program.
 *
 * This header is the specification: what it does not promise is not part of the interface.
 *
 * Conventions
 *   Status      Every function that can fail returns a sparsedit_status. SPARSEDIT_OK is 0. A failed call
 *               changes none of its outputs except where its comment says so.
 *   Messages    sparsedit_pipeline_message() gives one line that names what was wrong in the last failed call on
 *               that handle. sparsedit_pipeline_create() writes it to a buffer of the caller, as there is no handle.
 *   Structures  Those that begin with `size_t struct_size` are filled by their _init function, which takes the
 *               caller's sizeof. They grow only at the end; a marked line says in which version a field came.
 *               A size that no version of the library knew is SPARSEDIT_INVALID_ARGUMENT.
 *   Strings     UTF-8. Prompts are pointer + length in bytes and need no terminating NUL; a NUL inside one is
 *               refused. Paths and messages are NUL-terminated.
 *   Ownership   Pointers passed in are borrowed for the call. What the library hands out says who frees it.
 *   Arrays      f32, row-major, the last axis fastest. Every function that fills one takes its capacity in
 *               elements and reports the number needed in `*needed`, also when it returns
 *               SPARSEDIT_BUFFER_TOO_SMALL: ask first with a NULL buffer and capacity 0 (nothing is computed).
 *   Threads     Each function says one of
 *                 [any thread]   safe at any time from any thread,
 *                 [one at a time] from any thread, but a second such call on the same handle while one runs
 *                                returns SPARSEDIT_BUSY at once and does nothing,
 *                 [owner]        no other call on the handle may run or start.
 *               Different handles are independent. Calls need little stack: work runs on a thread of the handle.
 *   Process     The library has no global state. It never aborts, exits or prints, reads no environment variable,
 *               and changes no signal handler, locale, working directory, umask or floating-point mode. Nothing
 *               starts before the first sparsedit_pipeline_create().
 *   Fork        A handle does not survive fork() in the child: calls on it there return SPARSEDIT_INVALID_HANDLE
 *               (destroy does nothing). Create a new one.
 */
#ifndef SPARSEDIT_H
#define SPARSEDIT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of this header: major * 10000 + minor * 100 + patch. */
#define SPARSEDIT_VERSION 100
/** Counts incompatible changes of the binary interface; equals the number in libsparsedit.so.N. */
#define SPARSEDIT_ABI_VERSION 1

/** What became of a call. New values may be added: treat an unknown one as SPARSEDIT_INTERNAL. */
typedef enum sparsedit_status {
  SPARSEDIT_OK = 0,
  /** An argument, option, size or prompt is wrong. */
  SPARSEDIT_INVALID_ARGUMENT = 1,
  /** A model file's content is wrong. */
  SPARSEDIT_INVALID_DATA = 2,
  /** A model file is legal but asks for something the library does not do. */
  SPARSEDIT_UNSUPPORTED = 3,
  /** A file or folder is missing or unreadable. */
  SPARSEDIT_NOT_FOUND = 4,
  /** The request would not fit in memory or in the memory limit. Said before anything large is allocated. */
  SPARSEDIT_OUT_OF_MEMORY = 5,
  /** An output could not be written. No partial file is left. */
  SPARSEDIT_CANNOT_WRITE = 6,
  /** The call was cancelled. The handle stays usable. */
  SPARSEDIT_CANCELLED = 7,
  /** Another thread is inside a call on this handle. */
  SPARSEDIT_BUSY = 8,
  /** The caller's array is too small; `*needed` says how many elements it takes. */
  SPARSEDIT_BUFFER_TOO_SMALL = 9,
  /** NULL, or recognisably not a live handle of this process. */
  SPARSEDIT_INVALID_HANDLE = 10,
  /** sparsedit_pipeline_cancel() found no running call. */
  SPARSEDIT_IDLE = 11,
  /** A failure inside the library: please report it with the message. */
  SPARSEDIT_INTERNAL = 12
} sparsedit_status;

/** What weights and matrix inputs are stored as; sums and the residual stream are f32 in both. */
typedef enum sparsedit_precision {
  /** bf16 where the CPU multiplies it natively, else f32. */
  SPARSEDIT_PRECISION_DEFAULT = 0,
  SPARSEDIT_PRECISION_F32 = 1,
  SPARSEDIT_PRECISION_BF16 = 2
} sparsedit_precision;

/** How many tokens the middle of the backbone keeps. */
typedef enum sparsedit_sparsity {
  /** As the model's configuration says. */
  SPARSEDIT_SPARSITY_MODEL = 0,
  /** Every token everywhere. */
  SPARSEDIT_SPARSITY_DENSE = 1,
  /** Pruning rates rate_min (end of denoising) to rate_max (start), each in [0, 1), rate_min <= rate_max. */
  SPARSEDIT_SPARSITY_RATES = 2
} sparsedit_sparsity;

/** A loaded model with its worker thread. */
typedef struct sparsedit_pipeline sparsedit_pipeline;
/** Pictures that a call of sparsedit_generate() drew. Immutable. */
typedef struct sparsedit_images sparsedit_images;
/** The solver's state for one image when the host runs the denoising loop itself. */
typedef struct sparsedit_sampler sparsedit_sampler;

/* ------------------------------------------------------------------------------------------------ versions */

/** SPARSEDIT_VERSION of the library. [any thread] */
uint32_t sparsedit_version(void);
/** SPARSEDIT_ABI_VERSION of the library. [any thread] */
uint32_t sparsedit_abi_version(void);
/** Name of a status, such as "out of memory"; "unknown status" for other values. Static, never NULL. [any thread] */
const char *sparsedit_status_name(int32_t status);

/* ------------------------------------------------------------------------------------------------ pipeline */

/** Receives one line of advice (for example: a dense checkpoint runs sparse without fine-tuning).
    Called on the thread that made the call; the text lives only during the callback. Must not throw or longjmp. */
typedef void (*sparsedit_log_callback)(const char *message, void *user_data);

typedef struct sparsedit_pipeline_options {
  size_t struct_size;
  /** A diffusers pipeline folder; NULL for the model inside the library. */
  const char *model_path;
  /** A sparsedit_precision. */
  int32_t precision;
  /** Threads to compute with, 1 ... 1024; 0 for all CPUs this process may use. */
  int32_t threads;
  /** Most bytes the handle may hold beside mapped model files; 0 for no limit but the machine's free memory. */
  uint64_t memory_limit;
  /** May be NULL. */
  sparsedit_log_callback log;
  void *log_user_data;
  /* end of version 0.1 */
} sparsedit_pipeline_options;

/** Fills in the defaults: the model inside, default precision, all CPUs, no limit, no log.
    `struct_size` is sizeof(sparsedit_pipeline_options). [any thread] */
sparsedit_status sparsedit_pipeline_options_init(sparsedit_pipeline_options *options, size_t struct_size);

/** Loads a model. `options` may be NULL for the defaults. On success `*pipeline` is a handle to be given to
    sparsedit_pipeline_destroy(); on failure it is set to NULL. `message` (may be NULL) receives a NUL-terminated
    line, cut to `message_capacity` bytes: why it failed, or "" on success. [any thread] */
sparsedit_status sparsedit_pipeline_create(const sparsedit_pipeline_options *options, sparsedit_pipeline **pipeline,
                                           char *message, size_t message_capacity);

/** Frees a handle; NULL does nothing. Images outlive their pipeline, samplers do too. [owner] */
void sparsedit_pipeline_destroy(sparsedit_pipeline *pipeline);

/** Copies the message of the last failed call on this handle, NUL-terminated and cut to `capacity` bytes; returns
    the length it would take without the NUL. "" when nothing has failed yet. A BUSY call leaves no message.
    `buffer` may be NULL with capacity 0. [any thread] */
size_t sparsedit_pipeline_message(const sparsedit_pipeline *pipeline, char *buffer, size_t capacity);

/** Makes the running call on this handle return SPARSEDIT_CANCELLED, within one backbone block. The request stays in
    force until that call returns, and does not touch later ones. Returns SPARSEDIT_IDLE when no call was running:
    then nothing was cancelled. May be called from callbacks. Not safe in a signal handler. [any thread] */
sparsedit_status sparsedit_pipeline_cancel(sparsedit_pipeline *pipeline);

typedef struct sparsedit_pipeline_info {
  size_t struct_size;
  /** "PixArt-alpha", "PixArt-Sigma", "SparseDiT", ...: static text. */
  const char *family;
  /** Parameters of each part. */
  uint64_t text_encoder_parameters;
  uint64_t backbone_parameters;
  uint64_t decoder_parameters;
  /** Size in pixels when a request says 0, and what sizes must be multiples of. */
  int32_t default_width;
  int32_t default_height;
  int32_t size_multiple;
  int32_t default_steps;
  double default_guidance_scale;
  /** Tokens of a prompt, longer ones are cut. */
  int32_t max_prompt_tokens;
  /** Channels of the text embedding, of the latents, and of the backbone's output. */
  int32_t text_channels;
  int32_t latent_channels;
  int32_t output_channels;
  /** Pixels per latent in each direction. */
  int32_t latent_scale;
  /** A sparsedit_precision, never DEFAULT; and the threads in use. */
  int32_t precision;
  int32_t threads;
  /** 1 when the model's configuration asks for sparse tokens, with these rates; else 0, 0, 0. */
  int32_t is_sparse;
  double rate_min;
  double rate_max;
  /* end of version 0.1 */
} sparsedit_pipeline_info;

/** Describes a loaded model. The caller sets `info->struct_size`. [any thread] */
sparsedit_status sparsedit_pipeline_get_info(const sparsedit_pipeline *pipeline, sparsedit_pipeline_info *info);

/* ------------------------------------------------------------------------------------------------ pictures */

/** Where a request stands, after a denoising step. */
typedef struct sparsedit_step {
  size_t struct_size;
  /** Image 0 ... images - 1, step 1 ... steps. */
  int32_t image;
  int32_t images;
  int32_t step;
  int32_t steps;
  /** Tokens of the sparse blocks in this step, and of all others. */
  int32_t tokens;
  int32_t dense_tokens;
  /** Since the call began; and an estimate of what is left. */
  double seconds;
  double seconds_left;
  /* end of version 0.1 */
} sparsedit_step;

/** Pixels of a picture: RGB, 8 bits each, `stride` bytes from row to row. */
typedef struct sparsedit_image_view {
  size_t struct_size;
  int32_t width;
  int32_t height;
  size_t stride;
  const uint8_t *pixels;
  /** The seed that draws this picture again with count 1. */
  uint64_t seed;
  /* end of version 0.1 */
} sparsedit_image_view;

/** Called after each step on the thread that called sparsedit_generate(). Non-zero cancels. It may call [any thread]
    functions on the handle. */
typedef int32_t (*sparsedit_step_callback)(const sparsedit_step *step, void *user_data);
/** A small picture of what is being drawn, one pixel per latent. Same thread; the view lives only during the call. */
typedef void (*sparsedit_preview_callback)(const sparsedit_image_view *image, void *user_data);

typedef struct sparsedit_generate_options {
  size_t struct_size;
  /** At most 65,536 bytes each. NULL with length 0 is the empty prompt: an unconditional picture. */
  const char *prompt;
  size_t prompt_length;
  const char *negative_prompt;
  size_t negative_prompt_length;
  /** Pixels, multiples of the model's size_multiple; 0 for the model's default. */
  int32_t width;
  int32_t height;
  /** 1 ... 1000; 0 for the model's default. */
  int32_t steps;
  /** Guidance is on above 1. Negative for the model's default. */
  double guidance_scale;
  /** Image i is drawn with seed + i. Noise equals torch.randn with a CPU generator of that seed. */
  uint64_t seed;
  /** 1 ... 10,000 pictures. */
  int32_t count;
  /** A sparsedit_sparsity, and the rates when it says so. */
  int32_t sparsity;
  double rate_min;
  double rate_max;
  /** Class for class-conditional models, -1 for none. Text models refuse a class. */
  int32_t class_label;
  sparsedit_step_callback on_step;
  void *on_step_user_data;
  sparsedit_preview_callback on_preview;
  void *on_preview_user_data;
  /* end of version 0.1 */
} sparsedit_generate_options;

/** Fills in the defaults: empty prompts, the model's size, steps and guidance, seed 0, one picture. [any thread] */
sparsedit_status sparsedit_generate_options_init(sparsedit_generate_options *options, size_t struct_size);

/** Draws pictures. On success `*images` is to be given to sparsedit_images_destroy(); otherwise it is set to NULL:
    a cancelled call gives no pictures. Everything is checked before work begins. [one at a time] */
sparsedit_status sparsedit_generate(sparsedit_pipeline *pipeline, const sparsedit_generate_options *options,
                                    sparsedit_images **images);

/** Number of pictures; 0 for NULL. [any thread] */
size_t sparsedit_images_count(const sparsedit_images *images);
/** Pixels of picture `index`; they live as long as `images`. The caller sets `view->struct_size`. [any thread] */
sparsedit_status sparsedit_images_get(const sparsedit_images *images, size_t index, sparsedit_image_view *view);
/** Encodes picture `index` as JPEG, quality 1 ... 100, with prompt and settings in EXIF. `*bytes` is freed with
    sparsedit_free(). [any thread] */
sparsedit_status sparsedit_images_encode_jpeg(const sparsedit_images *images, size_t index, int32_t quality,
                                              uint8_t **bytes, size_t *byte_count);
/** Writes picture `index` as JPEG: a temporary file in the same folder, then renamed over `path`. [any thread] */
sparsedit_status sparsedit_images_save_jpeg(const sparsedit_images *images, size_t index, int32_t quality,
                                            const char *path);
/** Message of the last failed call on these images, as sparsedit_pipeline_message(). [any thread] */
size_t sparsedit_images_message(const sparsedit_images *images, char *buffer, size_t capacity);
/** NULL does nothing. [owner] */
void sparsedit_images_destroy(sparsedit_images *images);
/** Frees bytes that the library handed out; NULL does nothing. [any thread] */
void sparsedit_free(void *bytes);

/* ------------------------------------------------------------------------------------------------ cost */

typedef struct sparsedit_cost {
  size_t struct_size;
  /** Multiply-accumulates of one backbone forward (one guidance half) averaged over the steps, and of the request. */
  double macs_per_forward;
  double macs_total;
  /** Bytes of weights read once per forward, and the most bytes the request holds at a time beside mapped files. */
  uint64_t weight_bytes;
  uint64_t peak_bytes;
  /* end of version 0.1 */
} sparsedit_cost;

/** What a request would cost, without running it. The caller sets `cost->struct_size`. [one at a time] */
sparsedit_status sparsedit_get_cost(sparsedit_pipeline *pipeline, const sparsedit_generate_options *options,
                                    sparsedit_cost *cost);

/* ------------------------------------------------------------------------------------------------ the stages
 * For hosts that run their own loop: tokenize -> encode -> noise -> (denoise, sampler step) x steps -> decode.
 * All are [one at a time]; sparsedit_pipeline_cancel() stops them too.
 */

/** Token ids and mask (1 = real, 0 = padding) of one prompt, padded to `max_length` (0: the model's); both arrays
    hold `capacity` elements. */
sparsedit_status sparsedit_tokenize(sparsedit_pipeline *pipeline, const char *prompt, size_t prompt_length,
                                    int32_t max_length, int32_t *ids, int32_t *mask, size_t capacity,
                                    size_t *needed);

/** ids, mask [batch, length] -> embedding [batch, length, text_channels]. */
sparsedit_status sparsedit_encode_prompt(sparsedit_pipeline *pipeline, const int32_t *ids, const int32_t *mask,
                                         int32_t batch, int32_t length, float *embedding, size_t capacity,
                                         size_t *needed);

/** Initial noise of a picture of that size in pixels: [batch, latent_channels, height / scale, width / scale], equal
    to torch.randn of that shape with a CPU generator of that seed. */
sparsedit_status sparsedit_noise(sparsedit_pipeline *pipeline, uint64_t seed, int32_t height, int32_t width,
                                 int32_t batch, float *latents, size_t capacity, size_t *needed);

typedef struct sparsedit_denoise_options {
  size_t struct_size;
  /** [batch, latent_channels, latent_height, latent_width] */
  const float *latents;
  int32_t batch;
  int32_t latent_height;
  int32_t latent_width;
  /** Training timestep, 0 = data ... 1000 = noise; one for the batch. */
  double timestep;
  /** [batch, text_length, text_channels], and its mask [batch, text_length] (NULL: all real). */
  const float *embedding;
  const int32_t *mask;
  int32_t text_length;
  /** A sparsedit_sparsity, and the rates when it says so. */
  int32_t sparsity;
  double rate_min;
  double rate_max;
  /* end of version 0.1 */
} sparsedit_denoise_options;

/** Defaults: all zero but the model's sparsity. [any thread] */
sparsedit_status sparsedit_denoise_options_init(sparsedit_denoise_options *options, size_t struct_size);

/** One forward of the backbone: output [batch, output_channels, latent_height, latent_width]. */
sparsedit_status sparsedit_denoise(sparsedit_pipeline *pipeline, const sparsedit_denoise_options *options,
                                   float *output, size_t capacity, size_t *needed);

/** A solver for `steps` steps (0: the model's default), as the model's scheduler_config.json says. Free with
    sparsedit_sampler_destroy(). A sampler belongs to one thread at a time. */
sparsedit_status sparsedit_sampler_create(sparsedit_pipeline *pipeline, int32_t steps, sparsedit_sampler **sampler);
/** Number of steps; 0 for NULL. [any thread] */
int32_t sparsedit_sampler_steps(const sparsedit_sampler *sampler);
/** Timestep to denoise at in step `index` (0 ... steps - 1); -1 when out of range. [any thread] */
double sparsedit_sampler_timestep(const sparsedit_sampler *sampler, int32_t index);
/** Takes the next step in place: `sample` and `model_output` have `count` elements (the variance channels dropped,
    guidance applied). Steps must be taken in order; `count` must be the same each time. [owner] */
sparsedit_status sparsedit_sampler_step(sparsedit_sampler *sampler, const float *model_output, float *sample,
                                        size_t count);
/** NULL does nothing. [owner] */
void sparsedit_sampler_destroy(sparsedit_sampler *sampler);

/** latents [batch, latent_channels, latent_height, latent_width], as the sampler leaves them (the scaling factor is
    divided out here) -> pixels [batch, 3, height, width], about -1 ... 1. */
sparsedit_status sparsedit_decode(sparsedit_pipeline *pipeline, const float *latents, int32_t batch,
                                  int32_t latent_height, int32_t latent_width, float *pixels, size_t capacity,
                                  size_t *needed);

#ifdef __cplusplus
}
#endif

#endif /* SPARSEDIT_H */
