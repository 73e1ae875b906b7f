/*
 * What sparsedit.h promises about calls that go right: progress, previews, cancelling, busy handles,
 * stages by hand, limits of memory and stack, many pictures on one handle, forks.
 *
 * usage: behaviour [MODEL-FOLDER [PICTURES]]
 * PICTURES is how many the growth test draws (default 60).
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---------------------------------------------------------------------------- progress */

typedef struct progress {
  pthread_t thread;
  int calls;
  sparsedit_step last;
  uint8_t preview[3 * 256 * 256];
  int32_t preview_width, preview_height;
  int previews;
} progress;

static int32_t on_step(const sparsedit_step *step, void *user_data) {
  progress *p = user_data;
  CHECK(pthread_equal(p->thread, pthread_self()));
  CHECK(step->struct_size == sizeof *step);
  int32_t done_before = p->last.image * step->steps + p->last.step;
  CHECK(step->image * step->steps + step->step == done_before + 1);
  CHECK(step->step >= 1 && step->step <= step->steps && step->image < step->images);
  CHECK(step->seconds >= p->last.seconds && step->seconds_left >= 0);
  CHECK(step->tokens > 0 && step->tokens <= step->dense_tokens);
  p->last = *step;
  p->calls++;
  return 0;
}

static void on_preview(const sparsedit_step *step, const sparsedit_image_view *view, void *user_data) {
  progress *p = user_data;
  CHECK(pthread_equal(p->thread, pthread_self()));
  CHECK(step->step == p->last.step && step->image == p->last.image);
  CHECK((size_t)view->width * (size_t)view->height * 3 <= sizeof p->preview);
  p->preview_width = view->width;
  p->preview_height = view->height;
  for (int32_t y = 0; y < view->height; y++)
    memcpy(p->preview + (size_t)(y * view->width * 3), view->pixels + (size_t)y * view->stride,
           (size_t)view->width * 3);
  p->previews++;
}

/** Correlation of the last preview with the picture, averaged down to the preview's size. */
static double likeness(const progress *p, const sparsedit_image_view *picture) {
  int32_t scale = picture->width / p->preview_width;
  double sums[5] = {0}, n = 0;
  for (int32_t y = 0; y < p->preview_height; y++)
    for (int32_t x = 0; x < p->preview_width * 3; x++) {
      double mean = 0;
      for (int32_t dy = 0; dy < scale; dy++)
        for (int32_t dx = 0; dx < scale; dx++)
          mean += picture->pixels[(size_t)(y * scale + dy) * picture->stride +
                                  (size_t)((x / 3 * scale + dx) * 3 + x % 3)];
      double a = p->preview[y * p->preview_width * 3 + x], b = mean / (scale * scale);
      sums[0] += a; sums[1] += b; sums[2] += a * a; sums[3] += b * b; sums[4] += a * b;
      n++;
    }
  double covariance = sums[4] / n - sums[0] / n * sums[1] / n;
  double a = sums[2] / n - sums[0] / n * sums[0] / n, b = sums[3] / n - sums[1] / n * sums[1] / n;
  return covariance / sqrt(a * b + 1e-12);
}

static void test_progress(sparsedit_pipeline *pipeline, int is_trained) {
  static progress p;
  p = (progress){.thread = pthread_self()};
  sparsedit_generate_options options = small_request(is_trained ? 20 : 3, 5);
  options.width = options.height = 0; /* as it was trained, else previews mean little */
  options.count = 2;
  options.on_step = on_step;
  options.on_preview = on_preview;
  options.on_step_user_data = options.on_preview_user_data = &p;
  sparsedit_images *images = NULL;
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_generate(pipeline, &options, &images));
  CHECK(sparsedit_images_count(images) == 2);
  CHECK(p.calls == 2 * options.steps && p.previews == p.calls);
  CHECK(p.last.step == options.steps && p.last.image == 1);
  sparsedit_image_view view = {.struct_size = sizeof view};
  CHECK(sparsedit_images_get(images, 1, &view) == SPARSEDIT_OK);
  CHECK(view.seed == 6);
  double r = likeness(&p, &view);
  printf("behaviour: last preview %dx%d correlates %.3f with the picture\n", p.preview_width,
         p.preview_height, r);
  /* The preview takes colours from the latents by a linear map; with random weights there is nothing
     that it could look like. */
  CHECK(!is_trained || r > 0.6);
  /* Picture i is that of seed + i. */
  options.count = 1;
  options.seed = 6;
  options.on_step = NULL;
  options.on_preview = NULL;
  CHECK(draw(pipeline, &options) == picture_hash(images, 1));
  sparsedit_images_destroy(images);
}

/* ---------------------------------------------------------------------------- cancelling */

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
    sched_yield();
  }
}

static int32_t keep_seconds(const sparsedit_step *step, void *user_data) {
  ((double *)user_data)[step->step == step->steps] = step->seconds;
  return 0;
}

/** How long a step takes, without text and decoding. */
static double seconds_per_step(sparsedit_pipeline *pipeline) {
  double at[2] = {0}; /* after the last step but one, and after the last */
  sparsedit_generate_options options = small_request(6, 1);
  options.on_step = keep_seconds;
  options.on_step_user_data = at;
  draw(pipeline, &options);
  return at[1] - at[0];
}

static void test_cancel(sparsedit_pipeline *pipeline) {
  sparsedit_generate_options options = small_request(4, 1);
  uint64_t before = draw(pipeline, &options);
  CHECK(sparsedit_pipeline_cancel(pipeline) == SPARSEDIT_IDLE);
  /* An idle cancel touches nothing. */
  CHECK(draw(pipeline, &options) == before);
  /* From a callback. */
  sparsedit_images *images = (sparsedit_images *)&options;
  options.on_step = cancel_at_second_step;
  CHECK_STATUS(pipeline, SPARSEDIT_CANCELLED, sparsedit_generate(pipeline, &options, &images));
  CHECK(images == NULL);
  options.on_step = NULL;
  CHECK(draw(pipeline, &options) == before);
  /* From another thread, at different moments. */
  double worst = 0, step = seconds_per_step(pipeline);
  for (int round = 0; round < 8; round++) {
    caller c = {.pipeline = pipeline, .options = small_request(900, 1)};
    pthread_t thread;
    start(&thread, &c);
    usleep((useconds_t)(700 * round));
    double asked = now();
    CHECK(sparsedit_pipeline_cancel(pipeline) == SPARSEDIT_OK);
    pthread_join(thread, NULL);
    CHECK(c.status == SPARSEDIT_CANCELLED);
    if (c.returned - asked > worst) worst = c.returned - asked;
  }
  CHECK(sparsedit_pipeline_cancel(pipeline) == SPARSEDIT_IDLE);
  CHECK(draw(pipeline, &options) == before);
  printf("behaviour: cancel took at most %.1f ms; a step of all blocks takes %.1f ms\n", 1e3 * worst,
         1e3 * step);
  /* The promise is one block; a machine that is busy with other things may add a time slice. */
  CHECK(worst < step + 0.25);
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
  CHECK(sparsedit_get_cost(pipeline, &options, &cost) == SPARSEDIT_BUSY);
  /* What any thread may do at any time. */
  sparsedit_pipeline_info info = {.struct_size = sizeof info};
  CHECK(sparsedit_pipeline_get_info(pipeline, &info) == SPARSEDIT_OK);
  CHECK(sparsedit_pipeline_message(pipeline, NULL, 0) < 10000);
  CHECK(sparsedit_pipeline_cancel(pipeline) == SPARSEDIT_OK);
  pthread_join(thread, NULL);
  CHECK(c.status == SPARSEDIT_CANCELLED);
}

/* ---------------------------------------------------------------------------- stages */

static float *allocate(size_t count) {
  float *array = malloc(count * sizeof(float));
  CHECK(array);
  return array;
}

/** Draws with the stages and compares with sparsedit_generate(). */
static void test_stages(sparsedit_pipeline *pipeline) {
  sparsedit_pipeline_info info = {.struct_size = sizeof info};
  CHECK(sparsedit_pipeline_get_info(pipeline, &info) == SPARSEDIT_OK);
  sparsedit_generate_options request = small_request(5, 3);
  int32_t length = info.max_prompt_tokens;
  size_t text_size = (size_t)length * (size_t)info.text_channels, needed = 0;
  int32_t *ids = calloc(2 * (size_t)length, sizeof *ids), *mask = calloc(2 * (size_t)length, sizeof *mask);
  float *text = allocate(2 * text_size);
  CHECK(ids && mask);

  /* Unconditional first, as in classifier-free guidance. */
  CHECK(sparsedit_tokenize(pipeline, "", 0, 0, NULL, NULL, 0, &needed) == SPARSEDIT_BUFFER_TOO_SMALL);
  CHECK(needed == (size_t)length);
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_tokenize(pipeline, NULL, 0, 0, ids, mask, needed, NULL));
  CHECK_STATUS(pipeline, SPARSEDIT_OK,
               sparsedit_tokenize(pipeline, request.prompt, request.prompt_length, 0, ids + length,
                                  mask + length, needed, NULL));
  CHECK_STATUS(pipeline, SPARSEDIT_OK,
               sparsedit_encode_prompt(pipeline, ids, mask, 2, length, text, 2 * text_size, &needed));
  CHECK(needed == 2 * text_size);

  int32_t height = request.height / info.latent_scale, width = request.width / info.latent_scale;
  size_t plane = (size_t)height * (size_t)width, count = plane * (size_t)info.latent_channels;
  size_t predicted = plane * (size_t)info.output_channels;
  float *latents = allocate(2 * count), *prediction = allocate(2 * predicted);
  CHECK_STATUS(pipeline, SPARSEDIT_OK,
               sparsedit_noise(pipeline, request.seed, request.height, request.width, 1, latents,
                               count, NULL));
  sparsedit_sampler *sampler = NULL;
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_sampler_create(pipeline, request.steps, &sampler));
  sparsedit_denoise_options step;
  CHECK(sparsedit_denoise_options_init(&step, sizeof step) == SPARSEDIT_OK);
  step.latents = latents;
  step.batch = 2;
  step.latent_height = height;
  step.latent_width = width;
  step.embedding = text;
  step.mask = mask;
  step.text_length = length;
  float guidance = (float)info.default_guidance_scale;
  for (int32_t i = 0; i < sparsedit_sampler_steps(sampler); i++) {
    memcpy(latents + count, latents, count * sizeof(float));
    step.timestep = sparsedit_sampler_timestep(sampler, i);
    CHECK_STATUS(pipeline, SPARSEDIT_OK,
                 sparsedit_denoise(pipeline, &step, prediction, 2 * predicted, NULL));
    for (size_t k = 0; k < count; k++)
      prediction[k] += guidance * (prediction[predicted + k] - prediction[k]);
    CHECK(sparsedit_sampler_step(sampler, prediction, latents, count) == SPARSEDIT_OK);
  }
  sparsedit_sampler_destroy(sampler);
  size_t pixel_count = 3 * (size_t)request.height * (size_t)request.width;
  float *pixels = allocate(pixel_count);
  CHECK_STATUS(pipeline, SPARSEDIT_OK,
               sparsedit_decode(pipeline, latents, 1, height, width, pixels, pixel_count, NULL));

  sparsedit_images *images = NULL;
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_generate(pipeline, &request, &images));
  sparsedit_image_view view = {.struct_size = sizeof view};
  CHECK(sparsedit_images_get(images, 0, &view) == SPARSEDIT_OK);
  int worst = 0;
  size_t area = (size_t)view.width * (size_t)view.height;
  for (size_t k = 0; k < area; k++)
    for (size_t c = 0; c < 3; c++) {
      double value = fmin(fmax(pixels[c * area + k] * 0.5 + 0.5, 0), 1) * 255;
      size_t y = k / (size_t)view.width, x = k % (size_t)view.width;
      int difference = abs((int)lrint(value) - view.pixels[y * view.stride + 3 * x + c]);
      if (difference > worst) worst = difference;
    }
  printf("behaviour: stages by hand differ from generate by at most %d of 255\n", worst);
  /* Same operations in the same order; one unit is left for a rounding that falls the other way. */
  CHECK(worst <= 1);
  sparsedit_images_destroy(images);
  free(ids); free(mask); free(text); free(latents); free(prediction); free(pixels);
}

/* ---------------------------------------------------------------------------- limits */

static void test_memory_limit(int argc, char **argv) {
  sparsedit_pipeline_options options;
  sparsedit_pipeline_options_init(&options, sizeof options);
  options.model_path = argc > 1 && argv[1][0] ? argv[1] : NULL;
  options.threads = 1;
  options.memory_limit = 4096;
  char message[256];
  sparsedit_pipeline *pipeline = NULL;
  int32_t status = (int32_t)sparsedit_pipeline_create(&options, &pipeline, message, sizeof message);
  if (status == SPARSEDIT_OK) {
    sparsedit_generate_options request = small_request(1, 0);
    sparsedit_images *images = NULL;
    status = (int32_t)sparsedit_generate(pipeline, &request, &images);
    sparsedit_pipeline_message(pipeline, message, sizeof message);
  }
  CHECK(status == SPARSEDIT_OUT_OF_MEMORY);
  CHECK(message[0]);
  sparsedit_pipeline_destroy(pipeline);
}

static void test_cost(sparsedit_pipeline *pipeline) {
  sparsedit_generate_options one = small_request(4, 0), two = small_request(8, 0);
  sparsedit_cost a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_get_cost(pipeline, &one, &a));
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_get_cost(pipeline, &two, &b));
  CHECK(a.macs_per_forward > 0 && a.macs_denoise > 0 && a.weight_bytes > 0 && a.peak_bytes > 0);
  /* Guidance is on by default, so a step has two forwards; four more steps add eight. */
  CHECK(a.macs_denoise >= 8 * a.macs_per_forward);
  CHECK(fabs((b.macs_denoise - a.macs_denoise) / (16 * b.macs_per_forward - 8 * a.macs_per_forward) - 1) < 1e-9);
  /* A request that would never fit still has a cost, and is refused when it is run. */
  sparsedit_pipeline_info info = {.struct_size = sizeof info};
  CHECK(sparsedit_pipeline_get_info(pipeline, &info) == SPARSEDIT_OK);
  one.width = one.height = 65472 / info.size_multiple * info.size_multiple;
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_get_cost(pipeline, &one, &b));
  sparsedit_images *images = NULL;
  CHECK_STATUS(pipeline, SPARSEDIT_OUT_OF_MEMORY, sparsedit_generate(pipeline, &one, &images));
}

typedef struct small_stack {
  int argc;
  char **argv;
  uint64_t hash;
} small_stack;

static void *draw_on_small_stack(void *argument) {
  small_stack *s = argument;
  sparsedit_pipeline *pipeline = open_pipeline(s->argc, s->argv, 2);
  sparsedit_generate_options options = small_request(2, 9);
  s->hash = draw(pipeline, &options);
  sparsedit_pipeline_destroy(pipeline);
  return NULL;
}

static void test_small_stack(sparsedit_pipeline *pipeline, int argc, char **argv) {
  small_stack s = {argc, argv, 0};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  CHECK(pthread_attr_setstacksize(&attributes, 512 * 1024) == 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, &attributes, draw_on_small_stack, &s) == 0);
  pthread_join(thread, NULL);
  pthread_attr_destroy(&attributes);
  /* Another handle, another thread count, the same picture. */
  sparsedit_generate_options options = small_request(2, 9);
  CHECK(s.hash == draw(pipeline, &options));
}

static long resident_kilobytes(void) {
  FILE *file = fopen("/proc/self/statm", "r");
  long pages = 0, resident = 0;
  CHECK(file && fscanf(file, "%ld %ld", &pages, &resident) == 2);
  fclose(file);
  return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void test_growth(sparsedit_pipeline *pipeline, int pictures) {
  sparsedit_generate_options options = small_request(1, 0);
  for (int i = 0; i < 10; i++) draw(pipeline, &options);
  long before = resident_kilobytes();
  for (int i = 0; i < pictures; i++) draw(pipeline, &options);
  long growth = resident_kilobytes() - before;
  printf("behaviour: %d pictures grew the process by %ld KiB\n", pictures, growth);
  /* Less than what one picture's pixels take each; a leak of any stage's buffers is far more. */
  CHECK(growth < 4096);
}

static void test_fork(sparsedit_pipeline *pipeline, int argc, char **argv) {
  sparsedit_generate_options request = small_request(2, 4);
  uint64_t wanted = draw(pipeline, &request);
  fflush(stdout);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    sparsedit_images *images = NULL;
    int refused = sparsedit_generate(pipeline, &request, &images) == SPARSEDIT_INVALID_HANDLE &&
                  sparsedit_pipeline_cancel(pipeline) == SPARSEDIT_INVALID_HANDLE;
    sparsedit_pipeline_destroy(pipeline);
    sparsedit_pipeline *own = open_pipeline(argc, argv, 1);
    _exit(refused && draw(own, &request) == wanted ? 0 : 1);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv) {
  /* One thread, here and in the other tests: several wait for each other in every step, which takes
     for ever on a machine that is busy. The small stack test has two. */
  sparsedit_pipeline *pipeline = open_pipeline(argc, argv, 1);
  test_fork(pipeline, argc, argv);
  test_progress(pipeline, !(argc > 1 && argv[1][0]));
  test_cancel(pipeline);
  test_busy(pipeline);
  test_stages(pipeline);
  test_cost(pipeline);
  test_memory_limit(argc, argv);
  test_small_stack(pipeline, argc, argv);
  test_growth(pipeline, argc > 2 ? atoi(argv[2]) : 60);
  sparsedit_pipeline_destroy(pipeline);
  return 0;
}
