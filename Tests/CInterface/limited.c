/*
 * A small host, to be run under limits of memory and threads by the script `limits`: draws a picture
 * to a file, or prints one line about why it cannot. Then it tries a smaller one on the same handle, because
 * a refused request leaves the handle usable.
 *
 * usage: limited THREADS MEMORY-LIMIT SIZE STEPS OUTPUT [MODEL-FOLDER]
 * Exits with the status of the first call that failed; 100 where a promise was broken.
 */
#include "check.h"

static int broken(const char *what, int32_t status) {
  fprintf(stderr, "limited: %s: %s\n", what, sparsedit_status_name(status));
  return 100;
}

static int say(int32_t status, const char *message) {
  if (!message[0] || strchr(message, '\n')) return broken("not one line of message", status);
  fprintf(stderr, "limited: %s: %s\n", sparsedit_status_name(status), message);
  return status;
}

/** After a refusal, another call returns a status again, whatever it is. */
static int try_smaller(sparsedit_pipeline *pipeline, sparsedit_generate_options request) {
  request.width = request.height = 64;
  request.steps = 1;
  sparsedit_images *images = NULL;
  int32_t status = (int32_t)sparsedit_generate(pipeline, &request, &images);
  sparsedit_images_destroy(images);
  return status == SPARSEDIT_OK || status == SPARSEDIT_OUT_OF_MEMORY
             ? 0
             : broken("the smaller request", status);
}

static int draw_to(sparsedit_pipeline *pipeline, const sparsedit_generate_options *request,
                   const char *path) {
  char message[1024] = "";
  sparsedit_images *images = NULL;
  int32_t status = (int32_t)sparsedit_generate(pipeline, request, &images);
  if (status != SPARSEDIT_OK) {
    sparsedit_pipeline_message(pipeline, message, sizeof message);
    int failed = try_smaller(pipeline, *request);
    return failed ? failed : say(status, message);
  }
  status = (int32_t)sparsedit_images_save_jpeg(images, 0, 92, path);
  sparsedit_images_message(images, message, sizeof message);
  sparsedit_images_destroy(images);
  return status == SPARSEDIT_OK ? 0 : say(status, message);
}

int main(int argc, char **argv) {
  if (argc < 6) return broken("arguments", SPARSEDIT_INVALID_ARGUMENT);
  sparsedit_pipeline_options options;
  sparsedit_pipeline_options_init(&options, sizeof options);
  options.threads = atoi(argv[1]);
  options.memory_limit = strtoull(argv[2], NULL, 10);
  options.model_path = argc > 6 ? argv[6] : NULL;
  char message[1024] = "";
  sparsedit_pipeline *pipeline = NULL;
  int32_t status = (int32_t)sparsedit_pipeline_create(&options, &pipeline, message, sizeof message);
  if (status != SPARSEDIT_OK) return say(status, message);

  static const char prompt[] = "a red house under a full moon";
  sparsedit_generate_options request;
  sparsedit_generate_options_init(&request, sizeof request);
  request.prompt = prompt;
  request.prompt_length = sizeof prompt - 1;
  request.width = request.height = atoi(argv[3]);
  request.steps = atoi(argv[4]);
  request.seed = 7;
  int exit_status = draw_to(pipeline, &request, argv[5]);
  sparsedit_pipeline_destroy(pipeline);
  return exit_status;
}
