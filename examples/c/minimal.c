/*
 * One picture, with nothing but sparsedit.h and dlopen.
 *
 *   cc -I include examples/c/minimal.c -ldl -o minimal
 *   ./minimal libsparsedit.so.1 "a red house under a full moon" house.jpg [MODEL-FOLDER]
 *
 * A plugin or a program that must also run without the library loads it like this. One that always
 * needs it links with -lsparsedit and calls the functions directly, as the other examples do.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sparsedit.h"

/* __typeof__ takes each function's type from the header, so that a wrong call does not compile. */
#define FIND(name) \
  __typeof__(&sparsedit_##name) name = (__typeof__(&sparsedit_##name))find("sparsedit_" #name)

static void *library;

static void *find(const char *name) {
  void *function = dlsym(library, name);
  if (!function) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  return function;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: %s LIBRARY PROMPT OUTPUT.jpg [MODEL-FOLDER]\n", argv[0]);
    return 1;
  }
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  FIND(abi_version);
  FIND(status_name);
  FIND(pipeline_options_init);
  FIND(pipeline_create);
  FIND(pipeline_message);
  FIND(pipeline_destroy);
  FIND(generate_options_init);
  FIND(generate);
  FIND(images_save_jpeg);
  FIND(images_message);
  FIND(images_destroy);
  if (abi_version() != SPARSEDIT_ABI_VERSION) {
    fprintf(stderr, "the library speaks interface %u\n", abi_version());
    return 1;
  }

  /* Load the model: the one inside the library, or a folder. */
  sparsedit_pipeline_options options;
  pipeline_options_init(&options, sizeof options);
  options.model_path = argc > 4 ? argv[4] : NULL;
  sparsedit_pipeline *pipeline;
  char message[512];
  sparsedit_status status = pipeline_create(&options, &pipeline, message, sizeof message);
  if (status != SPARSEDIT_OK) {
    fprintf(stderr, "%s: %s\n", status_name(status), message);
    return 1;
  }

  /* Draw. What is not set has the model's default. */
  sparsedit_generate_options request;
  generate_options_init(&request, sizeof request);
  request.prompt = argv[2];
  request.prompt_length = strlen(argv[2]);
  request.seed = 7;
  sparsedit_images *images;
  status = generate(pipeline, &request, &images);
  if (status != SPARSEDIT_OK) {
    pipeline_message(pipeline, message, sizeof message);
  } else {
    status = images_save_jpeg(images, 0, 92, argv[3]);
    if (status != SPARSEDIT_OK) images_message(images, message, sizeof message);
  }
  if (status != SPARSEDIT_OK) fprintf(stderr, "%s: %s\n", status_name(status), message);

  /* Destroying NULL does nothing, so that all cases can end here. */
  images_destroy(images);
  pipeline_destroy(pipeline);
  return status == SPARSEDIT_OK ? 0 : 1;
}
