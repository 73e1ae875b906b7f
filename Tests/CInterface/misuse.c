/*
 * Every function of sparsedit.h, called wrongly in every way that its arguments allow: each call must
 * return a status (and leave a message where there is a handle to leave it on), never raise a signal.
 *
 * `table` has one row per function. `misuse --list` prints the rows' names, which the runner compares
 * with the header, so that a function without a row fails the build.
 *
 * usage: misuse [MODEL-FOLDER]
 */
/* Each mistake has one line, which the formatter would make three or four. */
/* clang-format off */
#include <math.h>

#include "check.h"

/* What is wrong with a call. Rows answer NOT_APPLICABLE for mistakes that their function cannot be
   called with. */
typedef int mistake;
enum {
  /* of the handle */
  HANDLE_NULL,
  HANDLE_OTHER_KIND,
  HANDLE_FOREIGN,
  HANDLE_SMALL_NUMBER,
  HANDLE_MISALIGNED,
  HANDLE_DESTROYED,
  /* of the structure that it takes or fills */
  STRUCT_NULL,
  STRUCT_SIZE_ZERO,
  STRUCT_SIZE_ONE,
  STRUCT_SIZE_SHORT,
  STRUCT_SIZE_LONG,
  STRUCT_SIZE_HUGE,
  /* of other arguments, numbered: what number n means is up to the row */
  ARGUMENT,
  ARGUMENT_LAST = ARGUMENT + 63
};

#define NOT_APPLICABLE (-1)

static const char *model_path; /* NULL: the model inside */
static sparsedit_pipeline *pipeline;
static sparsedit_images *images;
static sparsedit_sampler *sampler;
static sparsedit_pipeline_info info;
static void *destroyed_pipeline, *destroyed_images, *destroyed_sampler;
static uint64_t foreign[64];

/* ---------------------------------------------------------------------------- arguments */

static void *bad_handle(mistake m, void *good, void *other_kind, void *destroyed) {
  switch (m) {
    case HANDLE_NULL: return NULL;
    case HANDLE_OTHER_KIND: return other_kind;
    case HANDLE_FOREIGN: return foreign;
    case HANDLE_SMALL_NUMBER: return (void *)(uintptr_t)8;
    case HANDLE_MISALIGNED: return (char *)good + 1;
    case HANDLE_DESTROYED: return destroyed;
    default: return good;
  }
}

static sparsedit_pipeline *pipeline_for(mistake m) {
  return bad_handle(m, pipeline, images, destroyed_pipeline);
}
static sparsedit_images *images_for(mistake m) {
  return bad_handle(m, images, pipeline, destroyed_images);
}
static sparsedit_sampler *sampler_for(mistake m) {
  return bad_handle(m, sampler, pipeline, destroyed_sampler);
}

static size_t bad_size(mistake m, size_t size) {
  switch (m) {
    case STRUCT_SIZE_ZERO: return 0;
    case STRUCT_SIZE_ONE: return 1;
    /* Not what an older version of a structure could have. */
    case STRUCT_SIZE_SHORT: return size - 1;
    case STRUCT_SIZE_LONG: return size + 8;
    case STRUCT_SIZE_HUGE: return SIZE_MAX;
    default: return size;
  }
}

static int is_argument(mistake m, int count) { return m >= ARGUMENT && m < ARGUMENT + count; }
static int is_handle(mistake m) { return m <= HANDLE_DESTROYED; }
static int is_struct(mistake m) { return m >= STRUCT_NULL && m <= STRUCT_SIZE_HUGE; }

static int32_t answer_all(sparsedit_token_row *row, int32_t height, int32_t width, void *user_data) {
  (void)height, (void)width, (void)user_data;
  row->rate = 1;
  return 0;
}
static int32_t answer_more(sparsedit_token_row *row, int32_t height, int32_t width, void *user_data) {
  (void)user_data;
  row->height = height + 1;
  row->width = width;
  return 0;
}

/** Token tables that are wrong; returns 0 for a number that has no meaning. */
static int bad_table(int number, const sparsedit_token_row **rows, size_t *count) {
  static const sparsedit_token_row fine[] = {{.rate = 0.5}}, late[] = {{.timestep = 1, .rate = 0.5}},
                                   before[] = {{.timestep = INT32_MIN, .rate = 0.5}},
                                   disorder[] = {{.rate = 0.5}, {.timestep = 9}, {.timestep = 9}},
                                   beyond[] = {{.rate = 0.5}, {.timestep = INT32_MAX}},
                                   everything[] = {{.rate = 1}}, none[] = {{.rate = NAN}},
                                   flat[] = {{.width = 1}}, negative[] = {{.height = -1, .width = -1}},
                                   large[] = {{.height = INT32_MAX, .width = INT32_MAX}};
#define TABLE(array) (*rows = array, *count = sizeof array / sizeof array[0], 1)
  switch (number) {
    case 0: *rows = NULL; *count = 1; return 1;
    case 1: *rows = fine; *count = 0; return 1;
    case 2: *rows = fine; *count = SIZE_MAX; return 1;
    case 3: *rows = (const void *)((const char *)fine + 1); *count = 1; return 1;
    case 4: return TABLE(late);
    case 5: return TABLE(before);
    case 6: return TABLE(disorder);
    case 7: return TABLE(beyond);
    case 8: return TABLE(everything);
    case 9: return TABLE(none);
    case 10: return TABLE(flat);
    case 11: return TABLE(negative);
    case 12: return TABLE(large);
    default: return 0;
  }
#undef TABLE
}

/** Requests that are wrong; returns 0 for a number that has no meaning. */
static int bad_request(int number, sparsedit_generate_options *o) {
  static const char long_prompt[1 << 20] = {'a'};
  switch (number) {
    case 0: o->prompt = NULL; o->prompt_length = 5; return 1;
    case 1: o->prompt_length = SIZE_MAX; return 1;
    case 2: o->prompt = "a\0b"; o->prompt_length = 3; return 1;
    case 3: o->prompt = "\xff\xfe"; o->prompt_length = 2; return 1;
    case 4: o->prompt = "caf\xc3"; o->prompt_length = 4; return 1;
    case 5: o->prompt = long_prompt; o->prompt_length = sizeof long_prompt; return 1;
    case 6: o->negative_prompt = NULL; o->negative_prompt_length = 1; return 1;
    case 7: o->negative_prompt = "\xed\xa0\x80"; o->negative_prompt_length = 3; return 1;
    case 8: o->width = -info.size_multiple; return 1;
    case 9: o->width = info.size_multiple + 1; return 1;
    case 10: o->height = INT32_MIN; return 1;
    case 11: o->height = 1; return 1;
    case 12: o->steps = -1; return 1;
    case 13: o->steps = 1000000000; return 1;
    case 14: o->guidance_scale = NAN; return 1;
    case 15: o->guidance_scale = INFINITY; return 1;
    case 16: o->count = 0; return 1;
    case 17: o->count = -1; return 1;
    case 18: o->count = INT32_MAX; return 1;
    case 19: o->sparsity = 99; return 1;
    case 20: o->sparsity = -1; return 1;
    case 21: o->sparsity = SPARSEDIT_SPARSITY_RATES; o->rate_min = NAN; return 1;
    case 22: o->sparsity = SPARSEDIT_SPARSITY_RATES; o->rate_min = 0.9; o->rate_max = 0.1; return 1;
    case 23: o->sparsity = SPARSEDIT_SPARSITY_RATES; o->rate_min = 0.5; o->rate_max = 1; return 1;
    case 24: o->class_label = 207; return 1;
    case 25: o->class_label = INT32_MIN; return 1;
    case 26: o->sampler = 99; return 1;
    case 27: o->sampler = -1; return 1;
    case 28: o->sampler = SPARSEDIT_SAMPLER_DDIM; o->eta = NAN; return 1;
    case 29: o->sampler = SPARSEDIT_SAMPLER_DDIM; o->eta = 1.5; return 1;
    case 30: o->sampler = SPARSEDIT_SAMPLER_EULER; o->eta = 0.5; return 1;
    case 31: o->sampler = SPARSEDIT_SAMPLER_EULER; o->steps = 100000; return 1;
    case 32: o->token_schedule = 99; return 1;
    case 33: o->token_schedule = INT32_MIN; return 1;
    case 34:
      o->sparsity = SPARSEDIT_SPARSITY_DENSE;
      o->token_schedule = SPARSEDIT_TOKEN_SCHEDULE_LINEAR;
      return 1;
    case 35: o->sparsity = SPARSEDIT_SPARSITY_CALLBACK; return 1;
    case 36: o->sparsity = SPARSEDIT_SPARSITY_CALLBACK; o->on_tokens = answer_all; return 1;
    case 37: o->sparsity = SPARSEDIT_SPARSITY_CALLBACK; o->on_tokens = answer_more; return 1;
    default: o->sparsity = SPARSEDIT_SPARSITY_TABLE;
  }
  return bad_table(number - 38, &o->token_rows, &o->token_row_count);
}

/* ---------------------------------------------------------------------------- rows */
/* Each returns the status of one wrong call, with `SPARSEDIT_OK` standing for "right answer" where a
   function returns something else. */

static int use_version(mistake m) {
  return m == ARGUMENT ? sparsedit_version() != SPARSEDIT_VERSION : NOT_APPLICABLE;
}
static int use_abi_version(mistake m) {
  return m == ARGUMENT ? sparsedit_abi_version() != SPARSEDIT_ABI_VERSION : NOT_APPLICABLE;
}
static int use_status_name(mistake m) {
  static const int32_t values[] = {-1, 13, 99, INT32_MAX, INT32_MIN};
  if (!is_argument(m, 5)) return NOT_APPLICABLE;
  return strcmp(sparsedit_status_name(values[m - ARGUMENT]), "unknown status") != 0;
}

#define INIT_ROW(name)                                                         \
  static int use_##name##_init(mistake m) {                                    \
    sparsedit_##name options;                                                  \
    if (!is_struct(m)) return NOT_APPLICABLE;                                  \
    return sparsedit_##name##_init(m == STRUCT_NULL ? NULL : &options,         \
                                   bad_size(m, sizeof options));               \
  }
INIT_ROW(pipeline_options)
INIT_ROW(generate_options)
INIT_ROW(denoise_options)
INIT_ROW(sampler_options)

static int use_pipeline_create(mistake m) {
  sparsedit_pipeline_options options;
  sparsedit_pipeline_options_init(&options, sizeof options);
  options.struct_size = bad_size(m, sizeof options);
  sparsedit_pipeline *made = (sparsedit_pipeline *)foreign;
  sparsedit_pipeline **result = &made;
  char message[256] = "";
  size_t capacity = sizeof message;
  int32_t wanted = SPARSEDIT_INVALID_ARGUMENT;
  if (is_handle(m) || m == STRUCT_NULL) return NOT_APPLICABLE;
  switch (m - ARGUMENT) {
    case 0: result = NULL; break;
    case 1: options.precision = 99; break;
    case 2: options.precision = -1; break;
    case 3: options.threads = -1; break;
    case 4: options.threads = 1025; break;
    case 5: options.threads = INT32_MAX; break;
    case 6: options.model_path = ""; break;
    case 7: options.model_path = "\xff"; break;
    case 8: options.model_path = "/nonexistent/model"; wanted = SPARSEDIT_NOT_FOUND; break;
    case 9: options.model_path = "/dev/null"; wanted = SPARSEDIT_INVALID_DATA; break;
    case 10: options.threads = -1; capacity = 1; break;
    case 11: options.threads = -1; capacity = 0; break;
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  int32_t status = sparsedit_pipeline_create(&options, result, message, capacity);
  CHECK(result == NULL || made == NULL);
  CHECK(capacity < sizeof message ? message[0] == 0 : message[0] != 0);
  CHECK((int32_t)sparsedit_pipeline_create(&options, result, NULL, 100) == status);
  return status == wanted ? SPARSEDIT_INVALID_ARGUMENT : status;
}
static int use_pipeline_destroy(mistake m) {
  if (!is_handle(m)) return NOT_APPLICABLE;
  sparsedit_pipeline_destroy(pipeline_for(m));
  return SPARSEDIT_INVALID_HANDLE;
}
#define MESSAGE_ROW(kind, handle_for)                                          \
  static int use_##kind##_message(mistake m) {                                 \
    char buffer[8] = "before";                                                 \
    if (is_handle(m)) {                                                        \
      CHECK(sparsedit_##kind##_message(handle_for(m), NULL, 8) == 0);          \
      CHECK(sparsedit_##kind##_message(handle_for(m), buffer, 8) == 0);        \
      CHECK(buffer[0] == 0);                                                   \
      return SPARSEDIT_INVALID_HANDLE;                                         \
    }                                                                          \
    if (m != ARGUMENT) return NOT_APPLICABLE;                                  \
    size_t length = sparsedit_##kind##_message(handle_for(m), NULL, 0);        \
    CHECK(sparsedit_##kind##_message(handle_for(m), NULL, SIZE_MAX) == length); \
    CHECK(sparsedit_##kind##_message(handle_for(m), buffer, 0) == length);     \
    CHECK(strcmp(buffer, "before") == 0);                                      \
    CHECK(sparsedit_##kind##_message(handle_for(m), buffer, 1) == length);     \
    CHECK(buffer[0] == 0);                                                     \
    char whole[512];                                                           \
    CHECK(sparsedit_##kind##_message(handle_for(m), whole, SIZE_MAX) == length); \
    CHECK(strlen(whole) == length);                                            \
    return SPARSEDIT_OK;                                                       \
  }
MESSAGE_ROW(pipeline, pipeline_for)
MESSAGE_ROW(images, images_for)
MESSAGE_ROW(sampler, sampler_for)

static int use_pipeline_cancel(mistake m) {
  return is_handle(m) ? (int)sparsedit_pipeline_cancel(pipeline_for(m)) : NOT_APPLICABLE;
}
static int use_pipeline_get_info(mistake m) {
  sparsedit_pipeline_info out = {.struct_size = bad_size(m, sizeof out)};
  if (m >= ARGUMENT) return NOT_APPLICABLE;
  return sparsedit_pipeline_get_info(pipeline_for(m), m == STRUCT_NULL ? NULL : &out);
}

static int use_pipeline_find_class(mistake m) {
  const char *name = "a cat";
  size_t length = 5;
  int32_t label = 0, *to = &label;
  if (is_struct(m)) return NOT_APPLICABLE;
  switch (m - ARGUMENT) {
    case 0: name = NULL; break;
    case 1: length = SIZE_MAX; break;
    case 2: name = "a\0cat"; break;
    case 3: name = "\xff"; length = 1; break;
    case 4: to = NULL; break;
    case 5: break; /* this model draws from prompts */
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  return sparsedit_pipeline_find_class(pipeline_for(m), name, length, to);
}

static int use_generate(mistake m) {
  sparsedit_generate_options options = small_request(1, 0);
  sparsedit_images *drawn = (sparsedit_images *)foreign;
  options.struct_size = bad_size(m, sizeof options);
  if (m == ARGUMENT_LAST) return sparsedit_generate(pipeline, &options, NULL);
  if (m >= ARGUMENT && !bad_request(m - ARGUMENT, &options)) return NOT_APPLICABLE;
  int32_t status =
      sparsedit_generate(pipeline_for(m), m == STRUCT_NULL ? NULL : &options, &drawn);
  CHECK(drawn == NULL);
  return status;
}
static int use_pipeline_get_cost(mistake m) {
  sparsedit_generate_options options = small_request(1, 0);
  sparsedit_cost cost = {.struct_size = bad_size(m, sizeof cost)};
  if (m == ARGUMENT_LAST) return sparsedit_pipeline_get_cost(pipeline, NULL, &cost);
  if (m >= ARGUMENT && !bad_request(m - ARGUMENT, &options)) return NOT_APPLICABLE;
  return sparsedit_pipeline_get_cost(pipeline_for(m), &options, m == STRUCT_NULL ? NULL : &cost);
}

static int use_pipeline_get_step_costs(mistake m) {
  sparsedit_generate_options options = small_request(2, 0);
  sparsedit_stage_cost steps[2];
  size_t needed = 0;
  options.struct_size = bad_size(m, sizeof options);
  if (m == ARGUMENT_LAST) return sparsedit_pipeline_get_step_costs(pipeline, &options, NULL, 2, &needed);
  if (m == ARGUMENT_LAST - 1) {
    CHECK(sparsedit_pipeline_get_step_costs(pipeline, &options, steps, 1, &needed) ==
          SPARSEDIT_BUFFER_TOO_SMALL);
    CHECK(needed == 2);
    return sparsedit_pipeline_get_step_costs(pipeline, &options, (void *)((char *)steps + 1), 2, NULL);
  }
  if (m >= ARGUMENT && !bad_request(m - ARGUMENT, &options)) return NOT_APPLICABLE;
  return sparsedit_pipeline_get_step_costs(pipeline_for(m), m == STRUCT_NULL ? NULL : &options, steps, 2, NULL);
}

/** Estimates that are wrong; returns 0 for a number that has no meaning. */
static int bad_estimate(int number, sparsedit_estimate_options *e) {
  if (number < 3) e->model_path = NULL;
  switch (number) {
    case 0: e->backbone = "DiT-XL/3"; return 1;
    case 1: e->backbone = ""; return 1;
    case 2: e->backbone = "\xff"; return 1;
    case 3: e->backbone = "DiT-S/2"; e->model_path = "/"; return 1;
    case 4: e->model_path = ""; return 1;
    case 5: e->model_path = "\xff\xfe"; return 1;
    case 6: e->precision = 99; return 1;
    case 7: e->precision = -1; return 1;
    default: return 0;
  }
}

/** What the estimates have in common: 1 for a mistake that has been filled in. */
static int mistake_in_estimate(mistake m, sparsedit_estimate_options *estimate,
                               sparsedit_generate_options *options) {
  CHECK(sparsedit_estimate_options_init(estimate, sizeof *estimate) == SPARSEDIT_OK);
  estimate->model_path = model_path;
  *options = small_request(2, 0);
  if (is_handle(m)) return 0;
  if (is_struct(m) || m >= ARGUMENT_LAST - 2) return 1;
  if (bad_request(m - ARGUMENT, options)) return 1;
  *options = small_request(2, 0);
  return bad_estimate(m - ARGUMENT - 51, estimate);
}

INIT_ROW(estimate_options)
static int use_estimate_cost(mistake m) {
  sparsedit_estimate_options estimate;
  sparsedit_generate_options options;
  sparsedit_cost cost = {.struct_size = bad_size(m, sizeof cost)};
  char message[64];
  if (!mistake_in_estimate(m, &estimate, &options)) return NOT_APPLICABLE;
  if (m == ARGUMENT_LAST) return sparsedit_estimate_cost(&estimate, NULL, &cost, NULL, 0);
  if (m == ARGUMENT_LAST - 1) estimate.struct_size = 1;
  if (m == ARGUMENT_LAST - 2) return sparsedit_estimate_cost(&estimate, &options, NULL, NULL, SIZE_MAX);
  int status = sparsedit_estimate_cost(&estimate, &options, m == STRUCT_NULL ? NULL : &cost, message,
                                       sizeof message);
  CHECK(message[0] && strlen(message) < sizeof message);
  return status;
}
static int use_estimate_step_costs(mistake m) {
  sparsedit_estimate_options estimate;
  sparsedit_generate_options options;
  sparsedit_stage_cost steps[2];
  size_t needed = 0;
  if (!mistake_in_estimate(m, &estimate, &options)) return NOT_APPLICABLE;
  options.struct_size = bad_size(m, sizeof options);
  if (m == ARGUMENT_LAST - 2) return sparsedit_estimate_step_costs(&estimate, &options, NULL, 2, NULL, NULL, 0);
  if (m == ARGUMENT_LAST - 1) {
    CHECK(sparsedit_estimate_step_costs(&estimate, &options, NULL, 0, &needed, NULL, 0) ==
          SPARSEDIT_BUFFER_TOO_SMALL);
    CHECK(needed == 2);
    return sparsedit_estimate_step_costs(&estimate, &options, (void *)((char *)steps + 1), 2, NULL, NULL, 0);
  }
  return sparsedit_estimate_step_costs(&estimate, m == STRUCT_NULL || m == ARGUMENT_LAST ? NULL : &options,
                                       steps, 2, NULL, NULL, 0);
}

static int use_images_count(mistake m) {
  if (!is_handle(m)) return NOT_APPLICABLE;
  return sparsedit_images_count(images_for(m)) == 0 ? SPARSEDIT_INVALID_HANDLE : 1;
}
static int use_images_get_view(mistake m) {
  sparsedit_image_view view = {.struct_size = bad_size(m, sizeof view)};
  size_t index = m == ARGUMENT ? 1 : m == ARGUMENT + 1 ? SIZE_MAX : 0;
  if (m >= ARGUMENT + 2) return NOT_APPLICABLE;
  return sparsedit_images_get_view(images_for(m), index, m == STRUCT_NULL ? NULL : &view);
}
static int use_images_create(mistake m) {
  static uint8_t row[24];
  sparsedit_image_view view = {.struct_size = bad_size(m, sizeof view), .width = 4, .height = 2,
                               .stride = 12, .pixels = row, .seed = 9};
  sparsedit_images *made = (sparsedit_images *)foreign;
  char message[64] = "";
  const char *parameters = "a house";
  size_t length = 7;
  if (is_handle(m)) return NOT_APPLICABLE;
  switch (m - ARGUMENT) {
    case 0: view.width = 0; break;
    case 1: view.width = INT32_MAX; break;
    case 2: view.height = -1; break;
    case 3: view.height = 65501; break;
    case 4: view.stride = 11; break;
    case 5: view.stride = SIZE_MAX; break;
    case 6: view.stride = SIZE_MAX / 2; view.height = 3; break;
    case 7: view.pixels = NULL; break;
    case 8: parameters = NULL; break;
    case 9: parameters = "\xff"; length = 1; break;
    case 10: length = SIZE_MAX; break;
    case 11: return sparsedit_images_create(&view, "a", 1, NULL, message, sizeof message);
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  int32_t status = sparsedit_images_create(m == STRUCT_NULL ? NULL : &view, parameters, length, &made,
                                           message, sizeof message);
  CHECK(made == NULL && message[0]);
  return status;
}
static int use_images_parameters(mistake m) {
  char text[64];
  if (is_struct(m)) return NOT_APPLICABLE;
  if (is_handle(m)) {
    CHECK(sparsedit_images_parameters(images_for(m), 0, text, sizeof text) == 0 && !text[0]);
    return SPARSEDIT_INVALID_HANDLE;
  }
  switch (m - ARGUMENT) {
    case 0: CHECK(sparsedit_images_parameters(images, SIZE_MAX, text, sizeof text) == 0); break;
    case 1: CHECK(sparsedit_images_parameters(images, 1, text, sizeof text) == 0); break;
    case 2: CHECK(sparsedit_images_parameters(images, 0, NULL, 7) > 7); break;
    case 3: CHECK(sparsedit_images_parameters(images, 0, text, 0) > 7); break;
    case 4: CHECK(sparsedit_images_parameters(images, 0, text, 1) > 7 && !text[0]); break;
    default: return NOT_APPLICABLE;
  }
  return SPARSEDIT_OK;
}
static int use_images_encode_jpeg(mistake m) {
  static const int32_t qualities[] = {0, -1, 101, INT32_MAX, INT32_MIN};
  uint8_t *bytes = (uint8_t *)foreign;
  size_t count = 0;
  if (is_struct(m)) return NOT_APPLICABLE;
  if (is_argument(m, 5)) {
    int32_t status = sparsedit_images_encode_jpeg(images, 0, qualities[m - ARGUMENT], &bytes, &count);
    CHECK(bytes == NULL);
    return status;
  }
  switch (m - ARGUMENT) {
    case 5: return sparsedit_images_encode_jpeg(images, 1, 90, &bytes, &count);
    case 6: return sparsedit_images_encode_jpeg(images, SIZE_MAX, 90, &bytes, &count);
    case 7: return sparsedit_images_encode_jpeg(images, 0, 90, NULL, &count);
    case 8: return sparsedit_images_encode_jpeg(images, 0, 90, &bytes, NULL);
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  return sparsedit_images_encode_jpeg(images_for(m), 0, 90, &bytes, &count);
}
static int use_images_save_jpeg(mistake m) {
  static const char *const unwritable[] = {"/nonexistent/a.jpg", "/proc/a.jpg", "/"};
  if (is_struct(m)) return NOT_APPLICABLE;
  if (is_argument(m, 3)) {
    int32_t status = sparsedit_images_save_jpeg(images, 0, 90, unwritable[m - ARGUMENT]);
    return status == SPARSEDIT_CANNOT_WRITE ? SPARSEDIT_INVALID_ARGUMENT : 1000 + status;
  }
  switch (m - ARGUMENT) {
    case 3: return sparsedit_images_save_jpeg(images, 0, 90, NULL);
    case 4: return sparsedit_images_save_jpeg(images, 0, 90, "");
    case 5: return sparsedit_images_save_jpeg(images, 0, 90, "/tmp/\xff.jpg");
    case 6: return sparsedit_images_save_jpeg(images, 0, 0, "/tmp/a.jpg");
    case 7: return sparsedit_images_save_jpeg(images, 1, 90, "/tmp/a.jpg");
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  return sparsedit_images_save_jpeg(images_for(m), 0, 90, "/tmp/a.jpg");
}
static int use_images_destroy(mistake m) {
  if (!is_handle(m)) return NOT_APPLICABLE;
  sparsedit_images_destroy(images_for(m));
  return SPARSEDIT_INVALID_HANDLE;
}
static int use_free(mistake m) {
  if (m != ARGUMENT) return NOT_APPLICABLE;
  sparsedit_free(NULL);
  return SPARSEDIT_OK;
}

/* The stages get arrays that are large enough for what they are asked for in the right calls. */
#define LENGTH 8
static int32_t ids[LENGTH], mask[LENGTH];
static float *text, *latents, *prediction, *pixels;
static size_t text_count, latent_count, prediction_count, pixel_count;
static int32_t latent_side;

static int use_tokenize(mistake m) {
  size_t needed = 0;
  const char *prompt = "a house";
  size_t length = 7, capacity = LENGTH;
  int32_t max_length = LENGTH;
  int32_t *to_ids = ids, *to_mask = mask;
  if (is_struct(m)) return NOT_APPLICABLE;
  switch (m - ARGUMENT) {
    case 0: prompt = NULL; break;
    case 1: length = SIZE_MAX; break;
    case 2: prompt = "a\0house"; break;
    case 3: prompt = "\xc0\xaf"; length = 2; break;
    case 4: max_length = -1; break;
    case 5: max_length = INT32_MAX; break;
    case 6: to_ids = NULL; break;
    case 7: to_mask = NULL; break;
    case 8: to_ids = (int32_t *)((char *)ids + 1); break;
    case 9: case 10: {
      int32_t *array = m == ARGUMENT + 9 ? ids : NULL;
      capacity = m == ARGUMENT + 9 ? LENGTH - 1 : 0;
      int32_t status =
          sparsedit_tokenize(pipeline, prompt, length, LENGTH, array, array, capacity, &needed);
      CHECK(needed == LENGTH);
      return status == SPARSEDIT_BUFFER_TOO_SMALL ? SPARSEDIT_INVALID_ARGUMENT : 1000 + status;
    }
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  return sparsedit_tokenize(pipeline_for(m), prompt, length, max_length, to_ids, to_mask, capacity,
                            NULL);
}
static int use_encode_prompt(mistake m) {
  int32_t batch = 1, length = LENGTH;
  const int32_t *from = ids, *kept = mask;
  static const int32_t outside[LENGTH] = {-1}, beyond[LENGTH] = {INT32_MAX};
  float *to = text;
  if (is_struct(m)) return NOT_APPLICABLE;
  switch (m - ARGUMENT) {
    case 0: batch = 0; break;
    case 1: batch = -1; break;
    case 2: batch = INT32_MAX; break;
    case 3: length = 0; break;
    case 4: length = INT32_MAX; break;
    case 5: from = NULL; break;
    case 6: kept = NULL; break;
    case 7: to = NULL; break;
    case 8: from = outside; break;
    case 9: from = beyond; break;
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  return sparsedit_encode_prompt(pipeline_for(m), from, kept, batch, length, to, text_count, NULL);
}
static int use_noise(mistake m) {
  int32_t height = latent_side * info.latent_scale, width = height, batch = 1;
  float *to = latents;
  if (is_struct(m)) return NOT_APPLICABLE;
  switch (m - ARGUMENT) {
    case 0: height = 0; break;
    case 1: width = -1; break;
    case 2: width += 1; break;
    case 3: height = INT32_MIN; break;
    case 4: batch = 0; break;
    case 5: batch = INT32_MAX; break;
    case 6: to = NULL; break;
    case 7: {
      int32_t status =
          sparsedit_noise(pipeline, 0, height, width, 1, latents, latent_count - 1, NULL);
      return status == SPARSEDIT_BUFFER_TOO_SMALL ? SPARSEDIT_INVALID_ARGUMENT : 1000 + status;
    }
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  return sparsedit_noise(pipeline_for(m), 0, height, width, batch, to, latent_count, NULL);
}
static int use_denoise(mistake m) {
  sparsedit_denoise_options options;
  sparsedit_denoise_options_init(&options, sizeof options);
  options.struct_size = bad_size(m, sizeof options);
  options.latents = latents;
  options.batch = 1;
  options.latent_height = options.latent_width = latent_side;
  options.timestep = 500;
  options.embedding = text;
  options.text_length = LENGTH;
  float *to = prediction;
  switch (m - ARGUMENT) {
    case 0: options.latents = NULL; break;
    case 1: options.embedding = NULL; break;
    case 2: options.batch = 0; break;
    case 3: options.batch = INT32_MAX; break;
    case 4: options.latent_height = 0; break;
    case 5: options.latent_width = INT32_MIN; break;
    case 6: options.text_length = 0; break;
    case 7: options.text_length = INT32_MAX; break;
    case 8: options.timestep = NAN; break;
    case 9: options.timestep = -1; break;
    case 10: options.timestep = 1e9; break;
    case 11: options.sparsity = 99; break;
    case 12: options.sparsity = SPARSEDIT_SPARSITY_RATES; options.rate_max = 2; break;
    case 13: to = NULL; break;
    case 14: options.token_schedule = 99; break;
    case 15:
      options.sparsity = SPARSEDIT_SPARSITY_DENSE;
      options.token_schedule = SPARSEDIT_TOKEN_SCHEDULE_QUARTERS;
      break;
    case 16: options.sparsity = SPARSEDIT_SPARSITY_CALLBACK; break;
    case 17: options.class_labels = ids; break;
    default:
      if (m < ARGUMENT) break;
      options.sparsity = SPARSEDIT_SPARSITY_TABLE;
      if (!bad_table(m - ARGUMENT - 18, &options.token_rows, &options.token_row_count))
        return NOT_APPLICABLE;
  }
  return sparsedit_denoise(pipeline_for(m), m == STRUCT_NULL ? NULL : &options, to,
                           prediction_count, NULL);
}
static int use_decode(mistake m) {
  int32_t batch = 1, height = latent_side, width = latent_side;
  const float *from = latents;
  float *to = pixels;
  if (is_struct(m)) return NOT_APPLICABLE;
  switch (m - ARGUMENT) {
    case 0: batch = 0; break;
    case 1: batch = INT32_MIN; break;
    case 2: height = 0; break;
    case 3: width = -latent_side; break;
    case 4: from = NULL; break;
    case 5: to = NULL; break;
    case 6: from = (const float *)(const void *)((const char *)latents + 1); break;
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  return sparsedit_decode(pipeline_for(m), from, batch, height, width, to, pixel_count, NULL);
}

static int use_sampler_create(mistake m) {
  sparsedit_sampler_options options;
  sparsedit_sampler_options_init(&options, sizeof options);
  options.struct_size = bad_size(m, sizeof options);
  sparsedit_sampler *made = (sparsedit_sampler *)foreign, **result = &made;
  if (m == STRUCT_NULL) return NOT_APPLICABLE;
  switch (m - ARGUMENT) {
    case 0: options.steps = -1; break;
    case 1: options.steps = 1000000000; break;
    case 2: options.steps = INT32_MIN; break;
    case 3: options.sampler = 99; break;
    case 4: options.sampler = -1; break;
    case 5: options.sampler = SPARSEDIT_SAMPLER_DDIM; options.eta = NAN; break;
    case 6: options.sampler = SPARSEDIT_SAMPLER_DDIM; options.eta = -0.1; break;
    case 7: options.sampler = SPARSEDIT_SAMPLER_DDPM; options.eta = 1; break;
    case 8: result = NULL; break;
    case 9: options.drawn = SIZE_MAX; break;
    case 10: options.drawn = ((size_t)1 << 30) + 1; break;
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  int32_t status = sparsedit_sampler_create(pipeline_for(m), &options, result);
  CHECK(result == NULL || made == NULL);
  return status;
}
static int use_sampler_get_info(mistake m) {
  sparsedit_sampler_info out = {.struct_size = bad_size(m, sizeof out)};
  if (m >= ARGUMENT) return NOT_APPLICABLE;
  return sparsedit_sampler_get_info(sampler_for(m), m == STRUCT_NULL ? NULL : &out);
}
static int use_sampler_timestep(mistake m) {
  static const int32_t indices[] = {-1, 2, INT32_MAX, INT32_MIN};
  if (is_handle(m))
    return sparsedit_sampler_timestep(sampler_for(m), 0) == -1 ? SPARSEDIT_INVALID_HANDLE : 1;
  if (!is_argument(m, 4)) return NOT_APPLICABLE;
  return sparsedit_sampler_timestep(sampler, indices[m - ARGUMENT]) != -1;
}
static int use_sampler_scale_input(mistake m) {
  size_t count = latent_count;
  const float *from = latents;
  float *to = latents;
  if (is_struct(m)) return NOT_APPLICABLE;
  switch (m - ARGUMENT) {
    case 0: from = NULL; break;
    case 1: to = NULL; break;
    case 2: count = 0; break;
    case 3: count = SIZE_MAX; break;
    case 4: to = (float *)(void *)((char *)latents + 1); break;
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  return sparsedit_sampler_scale_input(sampler_for(m), from, to, count);
}
/** Counts that change, and more steps than there are; returns the status of the step too many. */
static int wear_out_sampler(void) {
  sparsedit_sampler *own = open_sampler(pipeline, SPARSEDIT_SAMPLER_EULER, 0, 2, 0, 0);
  size_t n = latent_count;
  /* A first step that is refused does not settle the count. */
  CHECK(sparsedit_sampler_step(own, prediction, n, latents, n - 1) == SPARSEDIT_INVALID_ARGUMENT);
  CHECK(sparsedit_sampler_scale_input(own, latents, latents, n) == SPARSEDIT_OK);
  CHECK(sparsedit_sampler_step(own, prediction, n - 1, latents, n) == SPARSEDIT_INVALID_ARGUMENT);
  CHECK(sparsedit_sampler_step(own, prediction, 2 * n, latents, n) == SPARSEDIT_INVALID_ARGUMENT);
  CHECK(sparsedit_sampler_step(own, prediction, n, latents, n) == SPARSEDIT_OK);
  CHECK(sparsedit_sampler_step(own, prediction, n - 1, latents, n - 1) == SPARSEDIT_INVALID_ARGUMENT);
  CHECK(sparsedit_sampler_step(own, prediction, n, latents, n) == SPARSEDIT_OK);
  int32_t status = sparsedit_sampler_step(own, prediction, n, latents, n);
  CHECK(sparsedit_sampler_message(own, NULL, 0) > 0);
  sparsedit_sampler_destroy(own);
  return status;
}
static int use_sampler_step(mistake m) {
  size_t count = latent_count, outputs = latent_count;
  const float *from = prediction;
  float *to = latents;
  if (is_struct(m)) return NOT_APPLICABLE;
  switch (m - ARGUMENT) {
    case 0: from = NULL; break;
    case 1: to = NULL; break;
    case 2: count = outputs = 0; break;
    case 3: count = SIZE_MAX; break;
    case 4: outputs = SIZE_MAX; break;
    case 5: outputs = 0; break;
    case 6: from = (const float *)(const void *)((const char *)prediction + 1); break;
    case 7: return wear_out_sampler();
    default: if (m >= ARGUMENT) return NOT_APPLICABLE;
  }
  return sparsedit_sampler_step(sampler_for(m), from, outputs, to, count);
}
static int use_sampler_destroy(mistake m) {
  if (!is_handle(m)) return NOT_APPLICABLE;
  sparsedit_sampler_destroy(sampler_for(m));
  return SPARSEDIT_INVALID_HANDLE;
}

/** Imports that are wrong; returns 0 for a number that has no meaning. */
static int bad_import(int number, sparsedit_import_options *o) {
  static const char *const nothing[] = {NULL}, *const empty[] = {""}, *const garbled[] = {"\xff"};
  switch (number) {
    case 0: o->sources = NULL; return 1;
    case 1: o->source_count = 0; return 1;
    case 2: o->source_count = 1001; return 1;
    case 3: o->source_count = SIZE_MAX; return 1;
    case 4: o->sources = nothing; return 1;
    case 5: o->sources = empty; return 1;
    case 6: o->sources = garbled; return 1;
    case 7: o->sources = (const char *const *)(const void *)((const char *)nothing + 1); return 1;
    case 8: o->folder = NULL; return 1;
    case 9: o->folder = ""; return 1;
    case 10: o->folder = "\xff\xfe"; return 1;
    case 11: o->format = 3; return 1;
    case 12: o->format = -1; return 1;
    case 13: o->generation = 3; return 1;
    case 14: o->generation = INT32_MIN; return 1;
    case 15: o->variant = ""; return 1;
    case 16: o->variant = "\xff"; return 1;
    case 17: o->size = -8; return 1;
    case 18: o->size = 12; return 1;
    case 19: o->heads = 1025; return 1;
    case 20: o->sparse_grid = -1; return 1;
    default: return 0;
  }
}

INIT_ROW(import_options)
static int use_import_model(mistake m) {
  /* A folder that is there and is no model. */
  static const char *const sources[] = {"/proc/self"};
  sparsedit_import_options options;
  char message[64];
  CHECK(sparsedit_import_options_init(&options, sizeof options) == SPARSEDIT_OK);
  options.sources = sources;
  options.source_count = 1;
  options.folder = "/nowhere/model";
  if (is_handle(m)) return NOT_APPLICABLE;
  options.struct_size = bad_size(m, sizeof options);
  if (m == ARGUMENT_LAST) return sparsedit_import_model(&options, NULL, SIZE_MAX);
  if (m >= ARGUMENT && !bad_import(m - ARGUMENT, &options)) return NOT_APPLICABLE;
  int status = sparsedit_import_model(m == STRUCT_NULL ? NULL : &options, message, sizeof message);
  CHECK(message[0] && strlen(message) < sizeof message);
  return status;
}

/* ---------------------------------------------------------------------------- table */

/** What a row's ARGUMENT mistakes must return. */
typedef enum answer { REFUSES, ANSWERS } answer;

#define ROW(name, answer) {"sparsedit_" #name, use_##name, answer}
static const struct {
  const char *name;
  int (*use)(mistake);
  answer answer;
} table[] = {
    ROW(version, ANSWERS), ROW(abi_version, ANSWERS), ROW(status_name, ANSWERS),
    ROW(pipeline_options_init, REFUSES), ROW(pipeline_create, REFUSES),
    ROW(pipeline_destroy, REFUSES), ROW(pipeline_message, ANSWERS),
    ROW(pipeline_cancel, REFUSES), ROW(pipeline_get_info, REFUSES),
    ROW(pipeline_find_class, REFUSES),
    ROW(generate_options_init, REFUSES), ROW(generate, REFUSES), ROW(images_count, REFUSES),
    ROW(images_get_view, REFUSES), ROW(images_create, REFUSES), ROW(images_parameters, ANSWERS),
    ROW(images_encode_jpeg, REFUSES), ROW(images_save_jpeg, REFUSES),
    ROW(images_message, ANSWERS), ROW(images_destroy, REFUSES), ROW(free, ANSWERS),
    ROW(pipeline_get_cost, REFUSES), ROW(pipeline_get_step_costs, REFUSES),
    ROW(estimate_options_init, REFUSES),
    ROW(estimate_cost, REFUSES), ROW(estimate_step_costs, REFUSES), ROW(tokenize, REFUSES),
    ROW(encode_prompt, REFUSES),
    ROW(noise, REFUSES), ROW(denoise_options_init, REFUSES), ROW(denoise, REFUSES),
    ROW(sampler_options_init, REFUSES), ROW(sampler_create, REFUSES),
    ROW(sampler_get_info, REFUSES), ROW(sampler_timestep, ANSWERS),
    ROW(sampler_scale_input, REFUSES), ROW(sampler_step, REFUSES), ROW(sampler_message, ANSWERS),
    ROW(sampler_destroy, REFUSES), ROW(decode, REFUSES), ROW(import_options_init, REFUSES),
    ROW(import_model, REFUSES)};
#define ROWS (sizeof table / sizeof table[0])

static int expected(size_t row, mistake m) {
  if (is_handle(m)) return SPARSEDIT_INVALID_HANDLE;
  if (is_struct(m) || table[row].answer == REFUSES) return SPARSEDIT_INVALID_ARGUMENT;
  return SPARSEDIT_OK;
}

static void make_arrays(void) {
  latent_side = info.default_width / info.latent_scale;
  size_t plane = (size_t)latent_side * (size_t)latent_side;
  text_count = LENGTH * (size_t)info.text_channels;
  latent_count = plane * (size_t)info.latent_channels;
  /* Room for a variance, also of a model that predicts none. */
  prediction_count = plane * 2 * (size_t)info.latent_channels;
  pixel_count = plane * 3 * (size_t)info.latent_scale * (size_t)info.latent_scale;
  text = calloc(text_count, sizeof(float));
  latents = calloc(latent_count, sizeof(float));
  prediction = calloc(prediction_count, sizeof(float));
  pixels = calloc(pixel_count, sizeof(float));
  CHECK(text && latents && prediction && pixels);
}

static void make_handles(int argc, char **argv) {
  sparsedit_generate_options options = small_request(1, 0);
  pipeline = open_pipeline(argc, argv, 1);
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_generate(pipeline, &options, &images));
  sampler = open_sampler(pipeline, SPARSEDIT_SAMPLER_MODEL, 0, 2, 0, 0);
  info.struct_size = sizeof info;
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_pipeline_get_info(pipeline, &info));
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "--list") == 0) {
    for (size_t row = 0; row < ROWS; row++) puts(table[row].name);
    return 0;
  }
  memset(foreign, 0x5a, sizeof foreign);
  model_path = argc > 1 && argv[1][0] ? argv[1] : NULL;
  make_handles(argc, argv);
  destroyed_pipeline = pipeline;
  destroyed_images = images;
  destroyed_sampler = sampler;
  /* New ones first, so that their memory is not that of the destroyed ones. */
  make_handles(argc, argv);
  sparsedit_pipeline_destroy(destroyed_pipeline);
  sparsedit_images_destroy(destroyed_images);
  sparsedit_sampler_destroy(destroyed_sampler);
  make_arrays();
  sparsedit_generate_options options = small_request(2, 7);
  uint64_t before = draw(pipeline, &options);

  int calls = 0, failures = 0;
  for (size_t row = 0; row < ROWS; row++)
    for (mistake m = HANDLE_NULL; m <= ARGUMENT_LAST; m++) {
      /* Reading the memory of a destroyed handle is what a sanitizer is there to report. */
      if (SANITIZED && m == HANDLE_DESTROYED) continue;
      int status = table[row].use(m);
      if (status == NOT_APPLICABLE) continue;
      calls++;
      if (status == expected(row, m)) continue;
      char message[512];
      sparsedit_pipeline_message(pipeline, message, sizeof message);
      fprintf(stderr, "%s, mistake %d: returned %d, not %d (last message: %s)\n", table[row].name,
              m, status, expected(row, m), message);
      failures++;
    }
  CHECK(failures == 0);

  char message[512];
  CHECK(sparsedit_pipeline_message(pipeline, message, sizeof message) > 0);
  CHECK(strchr(message, '\n') == NULL);
  CHECK(draw(pipeline, &options) == before);
  sparsedit_sampler_destroy(sampler);
  sparsedit_images_destroy(images);
  sparsedit_pipeline_destroy(pipeline);
  free(text); free(latents); free(prediction); free(pixels);
  printf("misuse: %d wrong calls of %zu functions, each refused\n", calls, ROWS);
  return 0;
}
