/*
 * sparsedit.h - the C interface of libsparsedit, a text-to-image engine for any program.
 *
 * This header is the specification: what it does not promise is not part of the interface.
 *
 * Conventions
 *   Status      Every function that can fail returns a sparsedit_status; SPARSEDIT_OK is 0. A
 *               failed call changes none of its outputs except where its comment says so.
 *   Messages    sparsedit_pipeline_message() and the like return one printable line of at most
 *               1,000 bytes, which names what was wrong in the last failed call on that handle.
 *               sparsedit_pipeline_create(), sparsedit_images_create(), sparsedit_import_model() and
 *               the sparsedit_estimate_ functions have no handle: they write it, NUL-terminated and
 *               cut to `message_capacity` bytes, to a buffer of the caller (may be NULL), or "" on
 *               success.
 *               A bad handle has no message but sparsedit_status_name().
 *   Names       What asks or changes a handle is named after it: sparsedit_pipeline_,
 *               sparsedit_images_, sparsedit_sampler_. A getter with `get_` behind that fills in
 *               what the caller gives and returns a status; one without it returns the value. The
 *               work of a pipeline has a verb only: sparsedit_generate() and the stages.
 *   Structures  Those that begin with `size_t struct_size` grow only at the end; a marked line says
 *               with which version a field came. Options are filled by their _init function, which
 *               takes the caller's sizeof; for results the caller sets struct_size itself. A size
 *               that no version of the library knew is SPARSEDIT_INVALID_ARGUMENT. In callbacks the
 *               library sets struct_size, which may be more than the caller's header knows.
 *   Enums       Fields that hold one are int32_t, so that layouts do not depend on a compiler.
 *   Strings     UTF-8. Prompts are pointer + length in bytes and need no terminating NUL; a NUL
 *               inside one is refused. Paths and messages are NUL-terminated.
 *   Ownership   Pointers passed in are borrowed for the call. What the library hands out says who
 *               frees it.
 *   Arrays      Row-major, the last axis fastest, f32 unless said. A function that fills one takes
 *               its capacity in elements, and writes the number that it needs to `*needed` (unless
 *               `needed` is NULL), also when it returns SPARSEDIT_BUFFER_TOO_SMALL. With a NULL
 *               buffer and capacity 0 nothing is computed, so that a caller can ask first.
 *   Threads     Each function says one of
 *                 [any thread]    safe at any time from any thread,
 *                 [one at a time] from any thread, but a second such call on the same handle while
 *                                 one runs returns SPARSEDIT_BUSY at once and does nothing,
 *                 [owner]         no other call on the handle may run or start.
 *               Different handles are independent. Calls need little stack: the work is done by a
 *               thread of the handle.
 *   Callbacks   Called on the thread that made the call, which waits meanwhile. They may call
 *               [any thread] functions. They must not longjmp or throw. Their arguments live only
 *               until they return.
 *   Process     The library has no global state. It never aborts, exits or prints, reads no
 *               environment variable, and changes no signal handler, signal mask, locale, working
 *               directory, umask or floating-point mode. Nothing starts before the first
 *               sparsedit_pipeline_create() or sparsedit_import_model(), whose thread ends with the
 *               call. Loading it twice loads it once, and dlclose() leaves it in memory. Of the
 *               libraries that it uses, oneDNN reads variables of its own (ONEDNN_*, DNNL_*) when
 *               it is first used. GNU OpenMP, which oneDNN is linked with, reads OMP_* and GOMP_*
 *               when it is loaded, but its threads are never used: all threads are the handle's
 *               own, named "sparsedit" and "sparsedit-1" to "sparsedit-1023", and end with it.
 *   Memory      Beside the memory that a request is estimated to take, the process must be able to
 *               map 32 MiB more (also under its limits of address space and data), for generated
 *               code and small allocations. Otherwise the call returns SPARSEDIT_OUT_OF_MEMORY.
 *   Fork        A handle does not survive fork() in the child: calls on it there return
 *               SPARSEDIT_INVALID_HANDLE (destroy does nothing). The child may create handles of
 *               its own, if no call of the library was running in the parent at the fork.
 *   Bad handles NULL is refused by every function. Handles that were destroyed, and pointers to
 *               something else, are recognised if their memory is still readable. This helps to
 *               find mistakes, and is not a promise.
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
/** Counts incompatible changes of the binary interface; equals N in libsparsedit.so.N. */
#define SPARSEDIT_ABI_VERSION 1

/** How a call ended. New values may be added: treat an unknown one as SPARSEDIT_INTERNAL. */
typedef enum sparsedit_status {
  SPARSEDIT_OK = 0,
  /** An argument, option, size or prompt is wrong. */
  SPARSEDIT_INVALID_ARGUMENT = 1,
  /** A model file's content is wrong. */
  SPARSEDIT_INVALID_DATA = 2,
  /** A model file is legal but asks for something that the library does not do, or the CPU lacks
      what the library needs. */
  SPARSEDIT_UNSUPPORTED = 3,
  /** A file or folder is missing or unreadable. */
  SPARSEDIT_NOT_FOUND = 4,
  /** The request would not fit in memory or in the memory limit, and nothing large was allocated;
      or the system refused the threads of a handle. */
  SPARSEDIT_OUT_OF_MEMORY = 5,
  /** An output could not be written. No partial file is left. */
  SPARSEDIT_CANNOT_WRITE = 6,
  /** The call was cancelled. The handle stays usable. */
  SPARSEDIT_CANCELLED = 7,
  /** Another call on this handle is running. */
  SPARSEDIT_BUSY = 8,
  /** The caller's array is too small; `*needed` says how many elements it takes. */
  SPARSEDIT_BUFFER_TOO_SMALL = 9,
  /** NULL, or not a live handle of this process, as far as that can be recognised. */
  SPARSEDIT_INVALID_HANDLE = 10,
  /** sparsedit_pipeline_cancel() found no running call. */
  SPARSEDIT_IDLE = 11,
  /** A failure inside the library: please report it with the message. */
  SPARSEDIT_INTERNAL = 12
} sparsedit_status;

/** What weights and matrix inputs are stored as; sums and the residual stream are f32 in both. */
typedef enum sparsedit_precision {
  /** bf16 if the CPU has instructions for it, else f32. */
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
  /** Pruning rates at the end (rate_min) and at the start of denoising (rate_max):
      0 <= rate_min <= rate_max < 1. */
  SPARSEDIT_SPARSITY_RATES = 2,
  /** As token_rows say. */
  SPARSEDIT_SPARSITY_TABLE = 3,
  /** As the function on_tokens answers; only for whole requests. */
  SPARSEDIT_SPARSITY_CALLBACK = 4
} sparsedit_sparsity;

/** How the pruning rate follows the training timestep. Only where there are rates, the model's or
    the request's: any other than MODEL is refused with dense tokens, a table or a callback. */
typedef enum sparsedit_token_schedule {
  /** The model's own; linear for a model that was trained dense. */
  SPARSEDIT_TOKEN_SCHEDULE_MODEL = 0,
  /** rate_min in the last quarter of denoising, before that on a straight line from rate_max. */
  SPARSEDIT_TOKEN_SCHEDULE_LINEAR = 1,
  /** Four rates from rate_max to rate_min, one for each quarter. */
  SPARSEDIT_TOKEN_SCHEDULE_QUARTERS = 2,
  /** The mean of the two throughout. */
  SPARSEDIT_TOKEN_SCHEDULE_CONSTANT = 3
} sparsedit_token_schedule;

/** How to get from noise to data. A sampler other than the model's uses what the model's
    scheduler_config.json says about the training and the spacing of timesteps. */
typedef enum sparsedit_sampler_kind {
  /** The one that scheduler_config.json names. */
  SPARSEDIT_SAMPLER_MODEL = 0,
  /** Stochastic, with the model's variance where it predicts one; for many steps. */
  SPARSEDIT_SAMPLER_DDPM = 1,
  /** Deterministic with eta 0; eta is the share of the noise that is drawn anew. */
  SPARSEDIT_SAMPLER_DDIM = 2,
  /** DPM-Solver++ of order 2, multistep: deterministic, for few steps. */
  SPARSEDIT_SAMPLER_DPMPP_2M = 3,
  /** Deterministic. */
  SPARSEDIT_SAMPLER_EULER = 4
} sparsedit_sampler_kind;

/** A loaded model with its worker thread. */
typedef struct sparsedit_pipeline sparsedit_pipeline;
/** Pictures that a call of sparsedit_generate() drew. Immutable. */
typedef struct sparsedit_images sparsedit_images;
/** A sampler's state, for hosts that run the denoising loop themselves. */
typedef struct sparsedit_sampler sparsedit_sampler;

/* ------------------------------------------------------------------------------ versions */

/** SPARSEDIT_VERSION of the library. [any thread] */
uint32_t sparsedit_version(void);
/** SPARSEDIT_ABI_VERSION of the library. [any thread] */
uint32_t sparsedit_abi_version(void);
/** Name of a status, such as "out of memory"; "unknown status" for other values. Static text, never
    NULL. [any thread] */
const char *sparsedit_status_name(int32_t status);

/* ------------------------------------------------------------------------------ pipeline */

/** Receives one line of advice, for example that a dense checkpoint runs sparse without having been
    fine-tuned for it, or that the default model does not know a word of the prompt. It is called
    before the call that it is about returns. */
typedef void (*sparsedit_log_callback)(const char *message, void *user_data);

typedef struct sparsedit_pipeline_options {
  size_t struct_size;
  /** A diffusers pipeline folder; NULL for the model inside the library. Its weights are mapped,
      not read: while the handle lives, its files may be replaced, but not be written to or
      truncated. */
  const char *model_path;
  /** A sparsedit_precision. */
  int32_t precision;
  /** Threads to compute with, 1 ... 1024; 0 for one per CPU that this process may use. */
  int32_t threads;
  /** Most bytes that the handle may hold beside mapped model files; 0 for what the machine has
      free when a request is made. Converted weights count, and for each request, before it begins:
      its tensors (`peak_bytes` of sparsedit_cost), 2 MiB for each thread, and 32 MiB for the code
      that its first run generates and for small allocations. */
  uint64_t memory_limit;
  /** May be NULL. */
  sparsedit_log_callback log;
  void *log_user_data;
  /* end of version 0.1 */
} sparsedit_pipeline_options;

/** Fills in the defaults: the model inside, default precision, all CPUs, no limit, no log.
    `struct_size` is sizeof(sparsedit_pipeline_options). [any thread] */
sparsedit_status sparsedit_pipeline_options_init(sparsedit_pipeline_options *options,
                                                 size_t struct_size);

/** Loads a model. `options` may be NULL for the defaults. On success `*pipeline` is a handle, which
    the caller gives to sparsedit_pipeline_destroy(); on failure it is set to NULL. [any thread] */
sparsedit_status sparsedit_pipeline_create(const sparsedit_pipeline_options *options,
                                           sparsedit_pipeline **pipeline, char *message,
                                           size_t message_capacity);

/** Frees a handle; NULL does nothing. Images and samplers outlive their pipeline. [owner] */
void sparsedit_pipeline_destroy(sparsedit_pipeline *pipeline);

/** Copies the message of the last failed call on this handle, NUL-terminated and cut to `capacity`
    bytes; returns its whole length without the NUL, 0 when nothing has failed yet. A call
    that returned SPARSEDIT_BUSY leaves no message. `buffer` may be NULL. [any thread] */
size_t sparsedit_pipeline_message(const sparsedit_pipeline *pipeline, char *buffer,
                                  size_t capacity);

/** Makes the running call on this handle return SPARSEDIT_CANCELLED, within one block of the
    backbone or one layer of the text encoder or decoder. It has effect until that call
    returns, and none on later calls: the next picture is the same as from a new handle.
    Returns SPARSEDIT_IDLE when no call was running: then nothing was cancelled. May be called from
    callbacks. Not safe in a signal handler. [any thread] */
sparsedit_status sparsedit_pipeline_cancel(sparsedit_pipeline *pipeline);

typedef struct sparsedit_pipeline_info {
  size_t struct_size;
  /** "PixArt-alpha", "PixArt-Sigma", "DiT", "SparseDiT", ...: lives as long as the handle. */
  const char *family;
  /** Number of parameters of each part; a model that draws classes has no text encoder. */
  uint64_t text_encoder_parameters;
  uint64_t backbone_parameters;
  uint64_t decoder_parameters;
  /** Pixels, when a request says 0; sizes must be multiples of size_multiple. */
  int32_t default_width;
  int32_t default_height;
  int32_t size_multiple;
  /** Denoising steps when a request says 0, and the most that the model's own sampler takes. */
  int32_t default_steps;
  int32_t max_steps;
  /** Pictures that one request may ask for. */
  int32_t max_count;
  /** Guidance scale when a request says a negative one. */
  double default_guidance_scale;
  /** Prompts with more tokens are cut, and prompts with more bytes are refused. */
  int32_t max_prompt_tokens;
  int32_t max_prompt_bytes;
  /** Classes of a model that draws classes: labels are 0 ... class_count - 1. Else 0, and the model
      draws from prompts. */
  int32_t class_count;
  /** Channels of the text embedding (0 without text), of the latents, and of the backbone's output;
      and how many of the output's channels, from the first, guidance acts on. */
  int32_t text_channels;
  int32_t latent_channels;
  int32_t output_channels;
  int32_t guided_channels;
  /** Blocks of the backbone, which a denoising step computes in turn; a cancel waits for one. */
  int32_t blocks;
  /** Pixels per latent in each direction. */
  int32_t latent_scale;
  /** A sparsedit_precision, never DEFAULT. */
  int32_t precision;
  /** Threads that compute: the handle's worker thread and its helpers. */
  int32_t threads;
  /** 1 when the model was trained for sparse tokens, with these rates; else 0, 0, 0. */
  int32_t is_sparse;
  double rate_min;
  double rate_max;
  /* end of version 0.1 */
} sparsedit_pipeline_info;

/** Describes a loaded model. The caller sets `info->struct_size`. [any thread] */
sparsedit_status sparsedit_pipeline_get_info(const sparsedit_pipeline *pipeline,
                                             sparsedit_pipeline_info *info);

/** Label of the class that has this name in the model's folder, or all its names with commas
    between; case does not matter. Refused for a name that no class or several have, and for models
    without names. [any thread] */
sparsedit_status sparsedit_pipeline_find_class(const sparsedit_pipeline *pipeline, const char *name,
                                               size_t name_length, int32_t *label);

/* ------------------------------------------------------------------------------ pictures */

/** The progress of a request after a denoising step. */
typedef struct sparsedit_step {
  size_t struct_size;
  /** Image 0 ... images - 1, step 1 ... steps. */
  int32_t image;
  int32_t images;
  int32_t step;
  int32_t steps;
  /** Tokens of the backbone's sparse blocks in this step, and of its other blocks. */
  int32_t tokens;
  int32_t dense_tokens;
  /** Since the call began, and an estimate of how long it will still take. */
  double seconds;
  double seconds_left;
  /* end of version 0.1 */
} sparsedit_step;

/** Pixels of a picture: red, green, blue, 8 bits each, `stride` bytes from row to row. */
typedef struct sparsedit_image_view {
  size_t struct_size;
  int32_t width;
  int32_t height;
  size_t stride;
  const uint8_t *pixels;
  /** The seed that draws this picture again with count 1; 0 in previews. */
  uint64_t seed;
  /* end of version 0.1 */
} sparsedit_image_view;

/** What the sparse blocks keep from a training timestep on, up to the next row's. Never grows. */
typedef struct sparsedit_token_row {
  /** 0 = data. In a table the first row is at 0 and timesteps rise. */
  int32_t timestep;
  /** A grid of tokens, each side from 1 to the picture's, which has one token per size_multiple
      pixels; 0 and 0 where `rate` is used instead. */
  int32_t height;
  int32_t width;
  /** Pruning rate, 0 <= rate < 1; ignored where there is a grid. */
  double rate;
} sparsedit_token_row;

/** Sets what the sparse blocks keep at `row->timestep`: the row's rate or its grid, which are 0
    before; `height` and `width` are the picture's grid. Called before work begins, once for each
    whole timestep at which the request denoises, from noise to data. Returning non-zero cancels the
    call. */
typedef int32_t (*sparsedit_token_callback)(sparsedit_token_row *row, int32_t height, int32_t width,
                                            void *user_data);
/** Called after each step. Returning non-zero cancels the call. */
typedef int32_t (*sparsedit_step_callback)(const sparsedit_step *step, void *user_data);
/** Called after each step with a small picture of what is being drawn, one pixel per latent, made
    from the solver's estimate of the finished latents. */
typedef void (*sparsedit_preview_callback)(const sparsedit_step *step,
                                           const sparsedit_image_view *preview, void *user_data);

typedef struct sparsedit_generate_options {
  size_t struct_size;
  /** NULL with length 0 is the empty prompt: an unconditional picture. Both prompts are empty for a
      model that draws classes, where guidance steers away from the picture of no class. */
  const char *prompt;
  size_t prompt_length;
  /** What guidance steers away from. */
  const char *negative_prompt;
  size_t negative_prompt_length;
  /** Pixels, multiples of the model's size_multiple but as exact_size says; 0 for the model's
      default. */
  int32_t width;
  int32_t height;
  /** Denoising steps; 0 for the default. The model's own sampler takes 1 ... max_steps. */
  int32_t steps;
  /** 0 ... class_count - 1 for a model that draws classes; -1 for one that draws from prompts. */
  int32_t class_label;
  /** Guidance is on above 1, where a step costs two forwards; at most 1000. Negative for the
      default. */
  double guidance_scale;
  /** Image i is drawn with seed + i (wrapping). The noise is that of torch.randn with a CPU
      generator of that seed. */
  uint64_t seed;
  /** Pictures, drawn one after another: 1 ... max_count. */
  int32_t count;
  /** A sparsedit_sampler_kind, and for DDIM the share of the noise that each step draws anew,
      0 ... 1 (the others take 0). */
  int32_t sampler;
  double eta;
  /** A sparsedit_sparsity, and with RATES (else ignored) the rates. */
  int32_t sparsity;
  /** A sparsedit_token_schedule. */
  int32_t token_schedule;
  double rate_min;
  double rate_max;
  /** With SPARSEDIT_SPARSITY_TABLE (else ignored), `token_row_count` rows. */
  const sparsedit_token_row *token_rows;
  size_t token_row_count;
  /** With SPARSEDIT_SPARSITY_CALLBACK (else ignored), not NULL. */
  sparsedit_token_callback on_tokens;
  void *on_tokens_user_data;
  /** May be NULL. */
  sparsedit_step_callback on_step;
  void *on_step_user_data;
  /** May be NULL. */
  sparsedit_preview_callback on_preview;
  void *on_preview_user_data;
  /* what follows is new: a program that was built before gives the size up to here */
  /** Not 0 to take the prompts as they are, but for capital letters and white space at the ends. Else
      those for a PixArt model from a folder are cleaned as diffusers does by default: HTML, addresses,
      some punctuation and broken characters go. */
  int32_t no_clean_caption;
  /** Not 0 to draw at the very size that is asked for. Else a PixArt model from a folder whose
      sample_size is 32, 64, 128 or 256 draws at the size of its training with the nearest ratio, and the
      picture is resized and cropped, as diffusers does by default; width and height may then be any
      positive numbers. */
  int32_t exact_size;
  /* end of version 0.1 */
} sparsedit_generate_options;

/** Fills in the defaults: empty prompts, the model's size, sampler and sparsity, default steps and
    guidance, seed 0, one picture, no callbacks. `struct_size` is
    sizeof(sparsedit_generate_options). [any thread] */
sparsedit_status sparsedit_generate_options_init(sparsedit_generate_options *options,
                                                 size_t struct_size);

/** Draws pictures. On success `*images` is to be given to sparsedit_images_destroy(); otherwise it
    is set to NULL: a cancelled call gives no pictures. The whole request is checked before the
    work begins. [one at a time] */
sparsedit_status sparsedit_generate(sparsedit_pipeline *pipeline,
                                    const sparsedit_generate_options *options,
                                    sparsedit_images **images);

/** Number of pictures; 0 for NULL. [any thread] */
size_t sparsedit_images_count(const sparsedit_images *images);
/** Pixels of picture `index`; they live as long as `images`. The caller sets `view->struct_size`.
    [any thread] */
sparsedit_status sparsedit_images_get_view(const sparsedit_images *images, size_t index,
                                           sparsedit_image_view *view);
/** A picture from pixels, such as those that another process got from sparsedit_images_get_view().
    They are copied. `view->seed` is kept; `parameters` (may be NULL, with length 0) is the text
    that sparsedit_images_parameters() gives, UTF-8 without NUL, at most 65536 bytes. On success the
    caller gives `*images` to sparsedit_images_destroy(); on failure it is set to NULL. `message` is
    as in sparsedit_pipeline_create(). [any thread] */
sparsedit_status sparsedit_images_create(const sparsedit_image_view *view, const char *parameters,
                                         size_t parameters_length, sparsedit_images **images,
                                         char *message, size_t message_capacity);
/** Copies prompt and settings of picture `index`, as they are in its JPEG, NUL-terminated and cut
    to `capacity` bytes; returns the whole length without the NUL, 0 for other indices. `buffer` may
    be NULL. [any thread] */
size_t sparsedit_images_parameters(const sparsedit_images *images, size_t index, char *buffer,
                                   size_t capacity);
/** Encodes picture `index` as JPEG, quality 1 ... 100, with prompt and settings in its EXIF data.
    The caller gives `*bytes` to sparsedit_free(); on failure it is set to NULL. [any thread] */
sparsedit_status sparsedit_images_encode_jpeg(const sparsedit_images *images, size_t index,
                                              int32_t quality, uint8_t **bytes, size_t *byte_count);
/** Writes those bytes to a temporary file in the same folder and renames it to `path`. Where that
    is a symbolic link, the link stays, and the file that it leads to is replaced or made.
    [any thread] */
sparsedit_status sparsedit_images_save_jpeg(const sparsedit_images *images, size_t index,
                                            int32_t quality, const char *path);
/** Message of the last failed call on these images, as sparsedit_pipeline_message().
    [any thread] */
size_t sparsedit_images_message(const sparsedit_images *images, char *buffer, size_t capacity);
/** NULL does nothing. [owner] */
void sparsedit_images_destroy(sparsedit_images *images);
/** Frees bytes that the library handed out; NULL does nothing. [any thread] */
void sparsedit_free(void *bytes);

/* ------------------------------------------------------------------------------ cost */

/** The cost of a stage. This structure never grows. */
typedef struct sparsedit_stage_cost {
  /** Multiply-accumulates of matrix products and convolutions; norms, pooling, softmax and
      element-wise operations are not counted. */
  double macs;
  /** Bytes of weights that these products read, once per product. */
  double weight_bytes;
  /** Most bytes of activations that are held at one time. */
  double activation_bytes;
} sparsedit_stage_cost;

typedef struct sparsedit_cost {
  size_t struct_size;
  /** Multiply-accumulates of one forward of the backbone, as the mean over the steps; and of all
      forwards of the request, with what they share (the keys and values of the text). A forward is
      of one picture and one half of guidance; what both halves share counts half for each. */
  double macs_per_forward;
  double macs_denoise;
  /** Bytes of backbone weights that one forward reads. */
  uint64_t weight_bytes;
  /** The most bytes of tensors that the request would hold at one time, in its first run and later:
      an upper estimate. `memory_limit` says what else counts against the limit. */
  uint64_t peak_bytes;
  /** The text encoder on all prompts; and the keys and values that the blocks make of its output,
      with the projection before them. Both once per request. */
  sparsedit_stage_cost text_encoder;
  sparsedit_stage_cost text_keys_values;
  /** All steps of one picture, with both guidance halves; and its decoding. */
  sparsedit_stage_cost denoise;
  sparsedit_stage_cost decode;
  /* end of version 0.1 */
} sparsedit_cost;

/** What a request would cost, without running it. A request that sparsedit_generate() would refuse
    is refused here too, except for memory; of its callbacks only on_tokens is called. The caller
    sets `cost->struct_size`. [one at a time] */
sparsedit_status sparsedit_pipeline_get_cost(sparsedit_pipeline *pipeline,
                                             const sparsedit_generate_options *options,
                                             sparsedit_cost *cost);

/** What each denoising step of a picture would cost, from noise to data, with both guidance halves:
    `capacity` elements. Otherwise as sparsedit_pipeline_get_cost(). [one at a time] */
sparsedit_status sparsedit_pipeline_get_step_costs(sparsedit_pipeline *pipeline,
                                                   const sparsedit_generate_options *options,
                                                   sparsedit_stage_cost *steps, size_t capacity,
                                                   size_t *needed);

/** A model whose costs are asked for without loading it; its weights need not exist. */
typedef struct sparsedit_estimate_options {
  size_t struct_size;
  /** The name of a backbone in papers, in place of a folder: "DiT-S/2" or another of S, B,
      L, XL and of 2, 4, 8, or "PixArt-XL/2". It has the parts of a SparseDiT, unless the request is
      for SPARSEDIT_SPARSITY_DENSE. NULL for none. */
  const char *backbone;
  /** A diffusers pipeline folder, of which the configurations are read, and for a prompt the
      tokenizer; NULL for the model inside the library, or with a backbone. */
  const char *model_path;
  /** A sparsedit_precision. */
  int32_t precision;
  /* end of version 0.1 */
} sparsedit_estimate_options;

/** Fills in the defaults: the model inside, default precision. `struct_size` is
    sizeof(sparsedit_estimate_options). [any thread] */
sparsedit_status sparsedit_estimate_options_init(sparsedit_estimate_options *estimate,
                                                 size_t struct_size);

/** As sparsedit_pipeline_get_cost(), for a model that is not loaded. `estimate` may be NULL for the
    defaults. Without prompts, the number of tokens that prompts are padded to is counted, and no
    class is needed. A backbone by name takes no prompts; its timesteps have equal distances with
    any sampler. [any thread] */
sparsedit_status sparsedit_estimate_cost(const sparsedit_estimate_options *estimate,
                                         const sparsedit_generate_options *options,
                                         sparsedit_cost *cost, char *message,
                                         size_t message_capacity);

/** As sparsedit_pipeline_get_step_costs(), for a model that is not loaded. [any thread] */
sparsedit_status sparsedit_estimate_step_costs(const sparsedit_estimate_options *estimate,
                                               const sparsedit_generate_options *options,
                                               sparsedit_stage_cost *steps, size_t capacity,
                                               size_t *needed, char *message,
                                               size_t message_capacity);

/* ------------------------------------------------------------------------------ the stages
 * For hosts that run their own loop:
 *   tokenize -> encode prompt -> noise -> (denoise, guidance, sampler step) x steps -> decode.
 * A model that draws classes has no text to tokenize and encode: both refuse it.
 * sparsedit_pipeline_cancel() stops them too. `batch` is 1 ... 256.
 */

/** Token ids and mask (1 = real, 0 = padding) of one prompt, cut or padded to `max_length` tokens
    (0: the model's max_prompt_tokens); each array holds `capacity` elements. The prompt is read as with
    no_clean_caption. [one at a time] */
sparsedit_status sparsedit_tokenize(sparsedit_pipeline *pipeline, const char *prompt,
                                    size_t prompt_length, int32_t max_length, int32_t *ids,
                                    int32_t *mask, size_t capacity, size_t *needed);

/** ids, mask [batch, length] -> embedding [batch, length, text_channels]. [one at a time] */
sparsedit_status sparsedit_encode_prompt(sparsedit_pipeline *pipeline, const int32_t *ids,
                                         const int32_t *mask, int32_t batch, int32_t length,
                                         float *embedding, size_t capacity, size_t *needed);

/** Noise for pictures of that size in pixels: [batch, latent_channels, height / latent_scale,
    width / latent_scale], equal to torch.randn of that shape with a CPU generator of that seed.
    [one at a time] */
sparsedit_status sparsedit_noise(sparsedit_pipeline *pipeline, uint64_t seed, int32_t height,
                                 int32_t width, int32_t batch, float *latents, size_t capacity,
                                 size_t *needed);

typedef struct sparsedit_denoise_options {
  size_t struct_size;
  /** [batch, latent_channels, latent_height, latent_width] */
  const float *latents;
  int32_t batch;
  int32_t latent_height;
  int32_t latent_width;
  /** Tokens of each text; 0 with class_labels. */
  int32_t text_length;
  /** Training timestep, one for the batch: 0 = data, the model's number of them (as a rule 1000) =
      noise. */
  double timestep;
  /** [batch, text_length, text_channels]; NULL with class_labels. */
  const float *embedding;
  /** [batch, text_length]: 1 = real, 0 = padding; NULL when all are real. */
  const int32_t *mask;
  /** [batch]: 0 ... class_count - 1, or class_count for no class, which guidance steers away from.
      NULL for models that draw from prompts. */
  const int32_t *class_labels;
  /** As in sparsedit_generate_options, without SPARSEDIT_SPARSITY_CALLBACK: the caller can give
      each call a table of one row. */
  int32_t sparsity;
  int32_t token_schedule;
  double rate_min;
  double rate_max;
  const sparsedit_token_row *token_rows;
  size_t token_row_count;
  /* end of version 0.1 */
} sparsedit_denoise_options;

/** Defaults: NULL and zero everywhere, which is the model's sparsity. `struct_size` is
    sizeof(sparsedit_denoise_options). [any thread] */
sparsedit_status sparsedit_denoise_options_init(sparsedit_denoise_options *options,
                                                size_t struct_size);

/** One forward of the backbone: output [batch, output_channels, latent_height, latent_width].
    [one at a time] */
sparsedit_status sparsedit_denoise(sparsedit_pipeline *pipeline,
                                   const sparsedit_denoise_options *options, float *output,
                                   size_t capacity, size_t *needed);

typedef struct sparsedit_sampler_options {
  size_t struct_size;
  /** As in sparsedit_generate_options. */
  int32_t steps;
  int32_t sampler;
  double eta;
  /** The seed of a stochastic sampler's noise. Its first value comes after the `drawn` values, at
      most 2^30, that sparsedit_noise() drew with this seed. */
  uint64_t seed;
  size_t drawn;
  /* end of version 0.1 */
} sparsedit_sampler_options;

/** Fills in the defaults: the model's sampler, default steps, seed 0. `struct_size` is
    sizeof(sparsedit_sampler_options). [any thread] */
sparsedit_status sparsedit_sampler_options_init(sparsedit_sampler_options *options,
                                                size_t struct_size);

/** Begins a loop of denoising steps. `options` may be NULL for the defaults. `*sampler` is to be
    given to sparsedit_sampler_destroy(); on failure it is set to NULL, and the pipeline has the
    message. In each step: scale the sample to the model's input, denoise that at the step's
    timestep, apply guidance, take the step. [one at a time] */
sparsedit_status sparsedit_sampler_create(sparsedit_pipeline *pipeline,
                                          const sparsedit_sampler_options *options,
                                          sparsedit_sampler **sampler);

typedef struct sparsedit_sampler_info {
  size_t struct_size;
  /** "DPM++ 2M", "DDIM", ...: lives as long as the handle. */
  const char *name;
  /** Number of steps: as many as asked for, or fewer if timesteps would be rounded to the same. */
  int32_t steps;
  /** 1 when a step's model output is the prediction of all pictures and behind it the variance of
      all pictures (the second half of the backbone's channels, without guidance), else 0. */
  int32_t uses_variance;
  /** 1 when steps draw noise, else 0: then the seed does not matter. */
  int32_t is_stochastic;
  /** What the initial noise is to be multiplied by, in f32. */
  double initial_noise_scale;
  /* end of version 0.1 */
} sparsedit_sampler_info;

/** Describes a sampler. The caller sets `info->struct_size`. [any thread] */
sparsedit_status sparsedit_sampler_get_info(const sparsedit_sampler *sampler,
                                            sparsedit_sampler_info *info);
/** Training timestep to denoise at in step `index`, 0 ... steps - 1; -1 for other indices and for
    NULL. Only Euler's lie between whole ones. [any thread] */
double sparsedit_sampler_timestep(const sparsedit_sampler *sampler, int32_t index);
/** The backbone's input for `sample` in the next step: `input`, which may be the same array.
    It is scaled for Euler and a copy for the others, whose loops do not need this call. Both have
    `count` elements, 1 ... 2^30. [one at a time] */
sparsedit_status sparsedit_sampler_scale_input(sparsedit_sampler *sampler, const float *sample,
                                               float *input, size_t count);
/** Takes the next step: `sample`, `count` elements in all steps, is replaced. `model_output` has
    `output_count` elements: `count` of prediction, guidance applied, and where uses_variance is 1
    as many of variance. A step after the last is refused. [one at a time] */
sparsedit_status sparsedit_sampler_step(sparsedit_sampler *sampler, const float *model_output,
                                        size_t output_count, float *sample, size_t count);
/** Message of the last failed call on this sampler, as sparsedit_pipeline_message().
    [any thread] */
size_t sparsedit_sampler_message(const sparsedit_sampler *sampler, char *buffer, size_t capacity);
/** NULL does nothing. [owner] */
void sparsedit_sampler_destroy(sparsedit_sampler *sampler);

/** latents [batch, latent_channels, latent_height, latent_width], as the sampler leaves them (the
    scaling factor is divided out here) -> pixels [batch, 3, height, width] in -1 ... 1.
    [one at a time] */
sparsedit_status sparsedit_decode(sparsedit_pipeline *pipeline, const float *latents, int32_t batch,
                                  int32_t latent_height, int32_t latent_width, float *pixels,
                                  size_t capacity, size_t *needed);

/* ------------------------------------------------------------------------------ importing */

/** What the weights of an imported model are stored as. */
typedef enum sparsedit_import_format {
  SPARSEDIT_IMPORT_BF16 = 0,
  SPARSEDIT_IMPORT_F32 = 1,
  /** Converted whenever the folder is opened. */
  SPARSEDIT_IMPORT_F16 = 2
} sparsedit_import_format;

/** Which PixArt a transformer is: it reads 120 or 300 tokens of a prompt. */
typedef enum sparsedit_import_generation {
  /** As weights and files tell. */
  SPARSEDIT_IMPORT_GENERATION_TOLD = 0,
  SPARSEDIT_IMPORT_GENERATION_ALPHA = 1,
  SPARSEDIT_IMPORT_GENERATION_SIGMA = 2
} sparsedit_import_generation;

/** Called now and then with the bytes written and those in all; a value other than 0 cancels. */
typedef int32_t (*sparsedit_import_callback)(uint64_t bytes, uint64_t total_bytes, void *user_data);

/** What is to be imported. */
typedef struct sparsedit_import_options {
  size_t struct_size;
  /** `source_count` paths, 1 ... 1000: weights of PyTorch (nothing in them is run) or safetensors,
      and folders. The first that has a part of the model gives it. */
  const char *const *sources;
  size_t source_count;
  /** The folder to make: not there yet, or empty. */
  const char *folder;
  /** A sparsedit_import_format. */
  int32_t format;
  /** A sparsedit_import_generation. */
  int32_t generation;
  /** Of weights that folders have in several variants, such as "fp16"; NULL for none. */
  const char *variant;
  /** Width and height in pixels of the pictures that the transformer was trained on, a multiple of
      8; 0 for what its files tell. */
  int32_t size;
  /** Attention heads of a transformer without a configuration; 0 for those of DiT-S, B, L and XL. */
  int32_t heads;
  /** Sparse tokens a side of a SparseDiT of its authors; 0 for 8. */
  int32_t sparse_grid;
  /** May be NULL. */
  sparsedit_import_callback on_progress;
  void *on_progress_user_data;
  /* end of version 0.1 */
} sparsedit_import_options;

/** Fills in the defaults; sources and folder stay to be given. `struct_size` is
    sizeof(sparsedit_import_options). [any thread] */
sparsedit_status sparsedit_import_options_init(sparsedit_import_options *options,
                                               size_t struct_size);

/** Turns checkpoints as they are published into one folder that opens by mapping, whole or not at
    all: docs/import.md says what is taken from where. Every mistake is found before anything is
    written, but for a disk that fails and numbers that f16 cannot hold. SPARSEDIT_BUSY means that
    another import writes to the same folder. A thread of the call's own does the work. [any thread] */
sparsedit_status sparsedit_import_model(const sparsedit_import_options *options, char *message,
                                        size_t message_capacity);

#ifdef __cplusplus
}
#endif

#endif /* SPARSEDIT_H */
