/*
 * Cancelling: from callbacks and other threads, how soon it takes effect, and that the handle
 * works as before afterwards. And busy handles.
 *
 * usage: cancel [MODEL-FOLDER]
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int32_t cancel_at_second_step(const sparsedit_step *step, void *user_data) {
  (void)user_data;
  return step->step == 2;
}

typedef struct caller {
  sparsedit_pipeline *pipeline;
  sparsedit_generate_options options;
  atomic_int is_running, has_ended;
  int32_t status;
  double returned;
} caller;

static int32_t say_running(const sparsedit_step *step, void *user_data) {
  (void)step;
  atomic_store(&((caller *)user_data)->is_running, 1);
  return 0;
}

static void *call_generate(void *argument) {
  caller *c = argument;
  c->options.on_step = say_running;
  c->options.on_step_user_data = c;
  sparsedit_images *images = (sparsedit_images *)c;
  c->status = (int32_t)sparsedit_generate(c->pipeline, &c->options, &images);
  c->returned = now();
  atomic_store(&c->has_ended, 1);
  CHECK((images != NULL) == (c->status == SPARSEDIT_OK));
  sparsedit_images_destroy(images);
  return NULL;
}

static void start(pthread_t *thread, caller *c) {
  CHECK(pthread_create(thread, NULL, call_generate, c) == 0);
  while (!atomic_load(&c->is_running)) {
    CHECK(!atomic_load(&c->has_ended));
    usleep(200);
  }
}

static void test_cancel(sparsedit_pipeline *pipeline) {
  sparsedit_generate_options options = small_request(4, 1);
  uint64_t before = draw(pipeline, &options);
  CHECK(sparsedit_pipeline_cancel(pipeline) == SPARSEDIT_IDLE);
  /* Cancelling while nothing runs changes nothing. */
  CHECK(draw(pipeline, &options) == before);
  /* From a callback. */
  sparsedit_images *images = (sparsedit_images *)&options;
  options.on_step = cancel_at_second_step;
  CHECK_STATUS(pipeline, SPARSEDIT_CANCELLED, sparsedit_generate(pipeline, &options, &images));
  CHECK(images == NULL);
  options.on_step = NULL;
  CHECK(draw(pipeline, &options) == before);
  /* From another thread, at different moments. */
  for (int round = 0; round < 8; round++) {
    caller c = {.pipeline = pipeline, .options = small_request(900, 1)};
    pthread_t thread;
    start(&thread, &c);
    usleep((useconds_t)(700 * round));
    CHECK(sparsedit_pipeline_cancel(pipeline) == SPARSEDIT_OK);
    pthread_join(thread, NULL);
    CHECK(c.status == SPARSEDIT_CANCELLED);
  }
  CHECK(sparsedit_pipeline_cancel(pipeline) == SPARSEDIT_IDLE);
  CHECK(draw(pipeline, &options) == before);
}

/* ---------------------------------------------------------------------------- latency */

#define ROUNDS 16

/** How long steps take, without text and decoding. */
typedef struct pace {
  double last, longest;
} pace;

static int32_t keep_pace(const sparsedit_step *step, void *user_data) {
  pace *p = user_data;
  if (step->step > 1 && step->seconds - p->last > p->longest) p->longest = step->seconds - p->last;
  p->last = step->seconds;
  return 0;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/** Compares how long a cancel takes with how long a block takes, on a picture whose blocks take long
    enough to tell. In a dense model all blocks are alike, so the longest is the longest step's share. */
static void test_latency(sparsedit_pipeline *pipeline) {
  sparsedit_pipeline_info info = {.struct_size = sizeof info};
  CHECK(sparsedit_pipeline_get_info(pipeline, &info) == SPARSEDIT_OK);
  pace p = {0};
  sparsedit_generate_options options = small_request(4, 1);
  options.width = options.height = 640;
  options.on_step = keep_pace;
  options.on_step_user_data = &p;
  draw(pipeline, &options);
  double block = p.longest / info.blocks, latencies[ROUNDS];
  unsigned random = 1;
  for (int round = 0; round < ROUNDS; round++) {
    caller c = {.pipeline = pipeline, .options = options};
    c.options.steps = 900;
    pthread_t thread;
    start(&thread, &c);
    usleep((useconds_t)(rand_r(&random) % 1000 * 1e3 * p.longest));
    double begin = now();
    CHECK(sparsedit_pipeline_cancel(pipeline) == SPARSEDIT_OK);
    pthread_join(thread, NULL);
    CHECK(c.status == SPARSEDIT_CANCELLED);
    latencies[round] = c.returned - begin;
  }
  qsort(latencies, ROUNDS, sizeof latencies[0], by_size);
  double median = latencies[ROUNDS / 2], longest = latencies[ROUNDS - 1];
  printf(
      "cancel: %d at random moments took %.1f ms (median) and %.1f ms (longest); a block of the "
      "longest step takes %.1f ms%s\n",
      ROUNDS, 1e3 * median, 1e3 * longest, 1e3 * block, info.is_sparse ? " on average" : "");
  if (info.is_sparse) return;
  /* A moment falls anywhere in a block, so half of one is waited for as a rule and one at most. Other
     programs may hold a time slice or two of the CPU in between, hence the tenth of a second; and any
     one block may take longer than a step's mean. */
  CHECK(median <= block + 0.01);
  CHECK(longest <= 1.5 * block + 0.1);
}

/* ---------------------------------------------------------------------------- busy */

static void test_busy(sparsedit_pipeline *pipeline) {
  caller c = {.pipeline = pipeline, .options = small_request(900, 1)};
  pthread_t thread;
  start(&thread, &c);
  sparsedit_generate_options options = small_request(1, 1);
  sparsedit_images *images = NULL;
  double asked = now();
  CHECK(sparsedit_generate(pipeline, &options, &images) == SPARSEDIT_BUSY);
  CHECK(images == NULL && now() - asked < 0.25);
  sparsedit_cost cost = {.struct_size = sizeof cost};
  CHECK(sparsedit_pipeline_get_cost(pipeline, &options, &cost) == SPARSEDIT_BUSY);
  /* What any thread may do at any time. */
  sparsedit_pipeline_info info = {.struct_size = sizeof info};
  CHECK(sparsedit_pipeline_get_info(pipeline, &info) == SPARSEDIT_OK);
  CHECK(sparsedit_pipeline_message(pipeline, NULL, 0) < 10000);
  CHECK(sparsedit_pipeline_cancel(pipeline) == SPARSEDIT_OK);
  pthread_join(thread, NULL);
  CHECK(c.status == SPARSEDIT_CANCELLED);
}

/** Calls every [one at a time] function from a callback, with arguments that would be wrong at other times. */
static int32_t call_back(const sparsedit_step *step, void *user_data) {
  sparsedit_pipeline *pipeline = user_data;
  if (step->step > 1) return 0;
  size_t needed = 77;
  sparsedit_images *images = NULL;
  sparsedit_sampler *sampler = NULL;
  CHECK(sparsedit_generate(pipeline, NULL, &images) == SPARSEDIT_BUSY);
  CHECK(sparsedit_generate(pipeline, NULL, NULL) == SPARSEDIT_BUSY);
  CHECK(sparsedit_pipeline_get_cost(pipeline, NULL, NULL) == SPARSEDIT_BUSY);
  CHECK(sparsedit_pipeline_get_step_costs(pipeline, NULL, NULL, 0, &needed) == SPARSEDIT_BUSY);
  CHECK(sparsedit_tokenize(pipeline, NULL, 5, 0, NULL, NULL, 0, &needed) == SPARSEDIT_BUSY);
  CHECK(sparsedit_encode_prompt(pipeline, NULL, NULL, 1, 4, NULL, 0, &needed) == SPARSEDIT_BUSY);
  CHECK(sparsedit_noise(pipeline, 0, 33, 64, 1, NULL, 0, &needed) == SPARSEDIT_BUSY);
  CHECK(sparsedit_noise(pipeline, 0, 64, 64, 1, NULL, 0, &needed) == SPARSEDIT_BUSY);
  CHECK(sparsedit_denoise(pipeline, NULL, NULL, 0, &needed) == SPARSEDIT_BUSY);
  CHECK(sparsedit_decode(pipeline, NULL, 1, 8, 8, NULL, 0, &needed) == SPARSEDIT_BUSY);
  CHECK(sparsedit_sampler_create(pipeline, NULL, NULL) == SPARSEDIT_BUSY);
  CHECK(sparsedit_sampler_create(pipeline, NULL, &sampler) == SPARSEDIT_BUSY && !sampler);
  CHECK(needed == 77); /* a busy call does nothing */
  return 0;
}

static void test_busy_in_callback(sparsedit_pipeline *pipeline) {
  char before[512], after[512];
  CHECK(sparsedit_noise(pipeline, 0, 33, 64, 1, NULL, 0, NULL) == SPARSEDIT_INVALID_ARGUMENT);
  CHECK(sparsedit_pipeline_message(pipeline, before, sizeof before) > 0);
  sparsedit_generate_options options = small_request(2, 1);
  options.on_step = call_back;
  options.on_step_user_data = pipeline;
  draw(pipeline, &options);
  sparsedit_pipeline_message(pipeline, after, sizeof after);
  CHECK(strcmp(before, after) == 0);
}

int main(int argc, char **argv) {
  sparsedit_pipeline *pipeline = open_pipeline(argc, argv, 1);
  test_cancel(pipeline);
  if (!SANITIZED) test_latency(pipeline); /* kernels without optimisation say nothing about it */
  test_busy(pipeline);
  test_busy_in_callback(pipeline);
  sparsedit_pipeline_destroy(pipeline);
  return 0;
}
