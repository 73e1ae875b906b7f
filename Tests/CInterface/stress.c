/*
 * Eight threads create, draw, cancel, ask and destroy for some seconds, with handles of their own and with
 * one that all share.
 *
 * usage: stress [MODEL-FOLDER [SECONDS [THREADS]]]
 * THREADS is how many the shared handle computes with (default 2, the others 1).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define THREADS 8

static int arguments;
static char **values;
static time_t end;
static sparsedit_pipeline *shared;
static uint64_t wanted;
static atomic_int drawn, cancelled, busy, refused;

static void count(int32_t status) {
  switch (status) {
    case SPARSEDIT_OK: drawn++; break;
    case SPARSEDIT_CANCELLED: cancelled++; break;
    case SPARSEDIT_BUSY: busy++; break;
    case SPARSEDIT_INVALID_ARGUMENT: refused++; break;
    default: fprintf(stderr, "status %d\n", status); CHECK(0);
  }
}

static int32_t cancel_sometimes(const sparsedit_step *step, void *user_data) {
  unsigned *random = user_data;
  return step->step == 1 && rand_r(random) % 4 == 0;
}

static void use(sparsedit_pipeline *pipeline, unsigned *random) {
  sparsedit_generate_options options = small_request(2, 3);
  sparsedit_images *images = NULL;
  int choice = rand_r(random) % 6;
  if (choice == 0) options.width = 3;
  if (choice == 1) {
    options.on_step = cancel_sometimes;
    options.on_step_user_data = random;
  }
  int32_t status = (int32_t)sparsedit_generate(pipeline, &options, &images);
  count(status);
  CHECK((images != NULL) == (status == SPARSEDIT_OK));
  if (images) {
    CHECK(picture_hash(images, 0) == wanted);
    uint8_t *bytes = NULL;
    size_t size = 0;
    CHECK(sparsedit_images_encode_jpeg(images, 0, 80, &bytes, &size) == SPARSEDIT_OK && size > 100);
    sparsedit_free(bytes);
  }
  sparsedit_images_destroy(images);
  char message[64];
  sparsedit_pipeline_message(pipeline, message, sizeof message);
  sparsedit_pipeline_info info = {.struct_size = sizeof info};
  CHECK(sparsedit_pipeline_get_info(pipeline, &info) == SPARSEDIT_OK);
}

static void *work(void *argument) {
  unsigned random = (unsigned)(size_t)argument;
  while (time(NULL) < end) {
    sparsedit_pipeline *own = open_pipeline(arguments, values, 1);
    for (int i = rand_r(&random) % 4; i >= 0; i--) use(own, &random);
    sparsedit_pipeline_destroy(own);
    use(shared, &random);
    if (rand_r(&random) % 3 == 0) {
      int32_t status = (int32_t)sparsedit_pipeline_cancel(shared);
      CHECK(status == SPARSEDIT_OK || status == SPARSEDIT_IDLE);
    }
  }
  return NULL;
}

int main(int argc, char **argv) {
  arguments = argc;
  values = argv;
  shared = open_pipeline(argc, argv, argc > 3 ? atoi(argv[3]) : 2);
  sparsedit_generate_options options = small_request(2, 3);
  wanted = draw(shared, &options);
  int seconds = argc > 2 ? atoi(argv[2]) : 10;
  end = time(NULL) + seconds;
  pthread_t threads[THREADS];
  for (size_t i = 0; i < THREADS; i++)
    CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
  for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  CHECK(draw(shared, &options) == wanted);
  sparsedit_pipeline_destroy(shared);
  printf("stress: %d s with %d threads: %d drawn, %d cancelled, %d found busy, %d refused\n",
         seconds, THREADS, drawn, cancelled, busy, refused);
  return 0;
}
