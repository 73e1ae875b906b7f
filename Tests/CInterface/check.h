/* What the C tests share: checks that say where they failed, and a model to draw with. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sparsedit.h"

/** Whether library and test are built with a sanitizer: the script `sanitize` says so. */
#ifndef SANITIZED
#define SANITIZED 0
#endif

/** Ends the program with a message when `condition` is false. */
#define CHECK(condition)                                              \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                        \
    }                                                                 \
  } while (0)

/** Ends the program when a call on `pipeline` did not return `expected`; shows its message. */
#define CHECK_STATUS(pipeline, expected, call)                                                  \
  do {                                                                                          \
    int32_t status_ = (call);                                                                   \
    if (status_ != (expected)) {                                                                \
      char text_[512];                                                                          \
      sparsedit_pipeline_message(pipeline, text_, sizeof text_);                                \
      fprintf(stderr, "%s:%d: %s returned \"%s\", not \"%s\": %s\n", __FILE__, __LINE__, #call, \
              sparsedit_status_name(status_), sparsedit_status_name(expected), text_);          \
      exit(1);                                                                                  \
    }                                                                                           \
  } while (0)

/** A pipeline on the model folder in argv[1], or on the model inside when there is none. */
static inline sparsedit_pipeline *open_pipeline(int argc, char **argv, int32_t threads) {
  sparsedit_pipeline_options options;
  CHECK(sparsedit_pipeline_options_init(&options, sizeof options) == SPARSEDIT_OK);
  options.model_path = argc > 1 && argv[1][0] ? argv[1] : NULL;
  options.precision = SPARSEDIT_PRECISION_F32;
  options.threads = threads;
  sparsedit_pipeline *pipeline = NULL;
  char message[512];
  if (sparsedit_pipeline_create(&options, &pipeline, message, sizeof message) != SPARSEDIT_OK) {
    fprintf(stderr, "cannot open the model: %s\n", message);
    exit(1);
  }
  CHECK(message[0] == 0);
  return pipeline;
}

/** A request for one picture of 64 x 64 in few steps. */
static inline sparsedit_generate_options small_request(int32_t steps, uint64_t seed) {
  static const char prompt[] = "a red house under a full moon";
  sparsedit_generate_options options;
  CHECK(sparsedit_generate_options_init(&options, sizeof options) == SPARSEDIT_OK);
  options.prompt = prompt;
  options.prompt_length = sizeof prompt - 1;
  options.width = options.height = 64;
  options.steps = steps;
  options.seed = seed;
  return options;
}

/** A sampler of that kind, whose noise comes behind that which was drawn with its seed. */
static inline sparsedit_sampler *open_sampler(sparsedit_pipeline *pipeline, int32_t kind,
                                              double eta, int32_t steps, uint64_t seed,
                                              size_t drawn) {
  sparsedit_sampler_options options;
  CHECK(sparsedit_sampler_options_init(&options, sizeof options) == SPARSEDIT_OK);
  options.sampler = kind;
  options.eta = eta;
  options.steps = steps;
  options.seed = seed;
  options.drawn = drawn;
  sparsedit_sampler *sampler = NULL;
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_sampler_create(pipeline, &options, &sampler));
  return sampler;
}

/** A number that is different for different pixels (FNV-1a over all rows). */
static inline uint64_t picture_hash(const sparsedit_images *images, size_t index) {
  sparsedit_image_view view = {.struct_size = sizeof view};
  CHECK(sparsedit_images_get_view(images, index, &view) == SPARSEDIT_OK);
  uint64_t hash = 14695981039346656037u;
  for (int32_t y = 0; y < view.height; y++)
    for (int32_t x = 0; x < view.width * 3; x++)
      hash = (hash ^ view.pixels[(size_t)y * view.stride + (size_t)x]) * 1099511628211u;
  return hash;
}

/** Draws one picture and returns its hash. */
static inline uint64_t draw(sparsedit_pipeline *pipeline,
                            const sparsedit_generate_options *options) {
  sparsedit_images *images = NULL;
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_generate(pipeline, options, &images));
  uint64_t hash = picture_hash(images, 0);
  sparsedit_images_destroy(images);
  return hash;
}

#endif
