/*
 * Several handles at once: a queue of prompts drawn by two workers.
 *
 *   cc -I include examples/c/threads.c -L build -lsparsedit -lpthread -o threads
 *   ./threads OUTPUT-FOLDER [MODEL-FOLDER]
 *
 * Handles are independent, so each worker has its own and divides the CPUs with the others. One
 * handle shared by all would work as well, but answer SPARSEDIT_BUSY to all but one caller. For a
 * single picture the fastest is one handle with all CPUs; for many, several handles of few threads.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "sparsedit.h"

#define WORKERS 2

static const char *const prompts[] = {
    "a red house",
    "a blue house",
    "three trees under the sun",
    "a cat left of a car",
};
#define PROMPTS (sizeof prompts / sizeof prompts[0])

typedef struct job {
  const char *model;
  const char *folder;
  atomic_size_t next;
  atomic_int failures;
} job;

static void fail(job *j, const char *prompt, const char *message) {
  fprintf(stderr, "%s: %s\n", prompt, message);
  atomic_fetch_add(&j->failures, 1);
}

static void draw(sparsedit_pipeline *pipeline, job *j, size_t index) {
  char message[512], path[4096];
  sparsedit_generate_options request;
  sparsedit_generate_options_init(&request, sizeof request);
  request.prompt = prompts[index];
  request.prompt_length = strlen(prompts[index]);
  request.seed = index;
  sparsedit_images *images;
  if (sparsedit_generate(pipeline, &request, &images) != SPARSEDIT_OK) {
    sparsedit_pipeline_message(pipeline, message, sizeof message);
    return fail(j, prompts[index], message);
  }
  snprintf(path, sizeof path, "%s/%zu.jpg", j->folder, index);
  if (sparsedit_images_save_jpeg(images, 0, 92, path) != SPARSEDIT_OK) {
    sparsedit_images_message(images, message, sizeof message);
    fail(j, prompts[index], message);
  }
  sparsedit_images_destroy(images);
}

static void *work(void *argument) {
  job *j = argument;
  sparsedit_pipeline_options options;
  sparsedit_pipeline_options_init(&options, sizeof options);
  options.model_path = j->model;
  options.threads = 1;
  sparsedit_pipeline *pipeline;
  char message[512];
  if (sparsedit_pipeline_create(&options, &pipeline, message, sizeof message) != SPARSEDIT_OK) {
    fail(j, "model", message);
    return NULL;
  }
  for (;;) {
    size_t index = atomic_fetch_add(&j->next, 1);
    if (index >= PROMPTS) break;
    draw(pipeline, j, index);
  }
  sparsedit_pipeline_destroy(pipeline);
  return NULL;
}

int main(int argc, char **argv) {
  job j = {.model = argc > 2 ? argv[2] : NULL, .folder = argc > 1 ? argv[1] : "."};
  pthread_t workers[WORKERS];
  for (int i = 0; i < WORKERS; i++)
    if (pthread_create(&workers[i], NULL, work, &j)) return perror("thread"), 1;
  for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], NULL);
  return j.failures ? 1 : 0;
}
