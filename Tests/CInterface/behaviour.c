/*
 * What sparsedit.h promises about calls that go right: progress, previews, cost, limits of memory and
 * stack, many pictures on one handle, forks.
 *
 * usage: behaviour [MODEL-FOLDER [PICTURES]]
 * PICTURES is how many the growth test draws (default 60).
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

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

static void on_preview(const sparsedit_step *step, const sparsedit_image_view *view,
                       void *user_data) {
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
      sums[0] += a;
      sums[1] += b;
      sums[2] += a * a;
      sums[3] += b * b;
      sums[4] += a * b;
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
  options.width = options.height =
      0; /* the size that it was trained with, else previews are not like pictures */
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
  CHECK(sparsedit_images_get_view(images, 1, &view) == SPARSEDIT_OK);
  CHECK(view.seed == 6);
  double r = likeness(&p, &view);
  printf("behaviour: last preview %dx%d correlates %.3f with the picture\n", p.preview_width,
         p.preview_height, r);
  /* The preview takes colours from the latents by a linear map; with random weights there is nothing
     that it could look like. */
  CHECK(!is_trained || r > 0.6);
  /* Picture i has seed + i. */
  options.count = 1;
  options.seed = 6;
  options.on_step = NULL;
  options.on_preview = NULL;
  CHECK(draw(pipeline, &options) == picture_hash(images, 1));
  sparsedit_images_destroy(images);
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
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_pipeline_get_cost(pipeline, &one, &a));
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_pipeline_get_cost(pipeline, &two, &b));
  CHECK(a.macs_per_forward > 0 && a.macs_denoise > 0 && a.weight_bytes > 0 && a.peak_bytes > 0);
  /* Guidance is on by default, so a step has two forwards; four more steps add eight. */
  CHECK(a.macs_denoise >= 8 * a.macs_per_forward);
  CHECK(
      fabs((b.macs_denoise - a.macs_denoise) / (16 * b.macs_per_forward - 8 * a.macs_per_forward) -
           1) < 1e-9);
  /* The stages are of one picture, and the steps are those of denoising. */
  sparsedit_stage_cost steps[4], sum = {0};
  size_t needed = 0;
  CHECK_STATUS(pipeline, SPARSEDIT_OK,
               sparsedit_pipeline_get_step_costs(pipeline, &one, steps, 4, &needed));
  for (size_t i = 0; i < needed; i++) {
    sum.macs += steps[i].macs;
    sum.weight_bytes += steps[i].weight_bytes;
    sum.activation_bytes = fmax(sum.activation_bytes, steps[i].activation_bytes);
  }
  CHECK(needed == 4 && fabs(sum.macs / (8 * a.macs_per_forward) - 1) < 1e-9);
  CHECK(fabs(sum.macs / a.denoise.macs - 1) < 1e-9 && a.decode.macs > 0 && a.text_encoder.macs > 0);
  CHECK(fabs((a.denoise.macs + a.text_keys_values.macs) / a.macs_denoise - 1) < 1e-9);
  CHECK(fabs(sum.weight_bytes / a.denoise.weight_bytes - 1) < 1e-9);
  CHECK(sum.activation_bytes == a.denoise.activation_bytes);
  CHECK((double)a.peak_bytes > a.denoise.activation_bytes + a.decode.activation_bytes);
  /* A request that would never fit still has a cost, and is refused when it is run. */
  sparsedit_pipeline_info info = {.struct_size = sizeof info};
  CHECK(sparsedit_pipeline_get_info(pipeline, &info) == SPARSEDIT_OK);
  one.width = one.height = 65472 / info.size_multiple * info.size_multiple;
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_pipeline_get_cost(pipeline, &one, &b));
  sparsedit_images *images = NULL;
  CHECK_STATUS(pipeline, SPARSEDIT_OUT_OF_MEMORY, sparsedit_generate(pipeline, &one, &images));
}

static int same_stage(sparsedit_stage_cost a, sparsedit_stage_cost b) {
  return a.macs == b.macs && a.weight_bytes == b.weight_bytes &&
         a.activation_bytes == b.activation_bytes;
}

/** A model has the same costs whether it is loaded or not; a backbone known by name has no files. */
static void test_estimates(sparsedit_pipeline *pipeline, const char *model_path) {
  sparsedit_generate_options request = small_request(3, 0);
  sparsedit_estimate_options estimate;
  CHECK(sparsedit_estimate_options_init(&estimate, sizeof estimate) == SPARSEDIT_OK);
  estimate.model_path = model_path;
  estimate.precision = SPARSEDIT_PRECISION_F32;
  request.count = 2;
  sparsedit_cost loaded = {.struct_size = sizeof loaded}, outlined = loaded;
  sparsedit_stage_cost steps[3], outlined_steps[3];
  char message[256] = "?";
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_pipeline_get_cost(pipeline, &request, &loaded));
  CHECK_STATUS(pipeline, SPARSEDIT_OK,
               sparsedit_pipeline_get_step_costs(pipeline, &request, steps, 3, NULL));
  CHECK(sparsedit_estimate_cost(&estimate, &request, &outlined, message, sizeof message) ==
        SPARSEDIT_OK);
  CHECK(message[0] == 0);
  CHECK(sparsedit_estimate_step_costs(&estimate, &request, outlined_steps, 3, NULL, NULL, 0) ==
        SPARSEDIT_OK);
  CHECK(outlined.macs_per_forward == loaded.macs_per_forward &&
        outlined.macs_denoise == loaded.macs_denoise);
  CHECK(outlined.weight_bytes == loaded.weight_bytes && outlined.peak_bytes == loaded.peak_bytes);
  CHECK(same_stage(outlined.text_encoder, loaded.text_encoder));
  CHECK(same_stage(outlined.text_keys_values, loaded.text_keys_values));
  CHECK(same_stage(outlined.denoise, loaded.denoise) && same_stage(outlined.decode, loaded.decode));
  for (int i = 0; i < 3; i++) CHECK(same_stage(outlined_steps[i], steps[i]));

  /* 118.64e9 is what DiT's paper says of one forward; we count no norms, hence half a percent. */
  CHECK(sparsedit_generate_options_init(&request, sizeof request) == SPARSEDIT_OK);
  estimate.model_path = NULL;
  estimate.backbone = "DiT-XL/2";
  request.sparsity = SPARSEDIT_SPARSITY_DENSE;
  CHECK(sparsedit_estimate_cost(&estimate, &request, &loaded, NULL, 0) == SPARSEDIT_OK);
  CHECK(fabs(loaded.macs_per_forward / 118.64e9 - 1) < 0.005);
  request.sparsity = SPARSEDIT_SPARSITY_RATES;
  request.rate_min = 0.61;
  request.rate_max = 0.86;
  CHECK(sparsedit_estimate_cost(&estimate, &request, &outlined, NULL, 0) == SPARSEDIT_OK);
  CHECK(outlined.macs_per_forward < 0.6 * loaded.macs_per_forward &&
        outlined.decode.macs == loaded.decode.macs);

  estimate.backbone = "DiT-XL/3";
  CHECK(sparsedit_estimate_cost(&estimate, &request, &outlined, message, sizeof message) ==
        SPARSEDIT_INVALID_ARGUMENT);
  CHECK(strstr(message, "DiT-XL/3"));
  estimate.backbone = NULL;
  estimate.model_path = "/nowhere/at all";
  CHECK(sparsedit_estimate_cost(&estimate, &request, &outlined, message, sizeof message) ==
        SPARSEDIT_NOT_FOUND);
  CHECK(strstr(message, "/nowhere/at all"));
}

/** A program that was built before the last fields came gets what it got then; other sizes are refused. */
static void test_shorter_request(sparsedit_pipeline *pipeline) {
  size_t before = offsetof(sparsedit_generate_options, no_clean_caption);
  sparsedit_generate_options whole = small_request(1, 3), shorter = whole;
  shorter.struct_size = before;
  shorter.no_clean_caption = shorter.exact_size = -1; /* beyond its end */
  CHECK(draw(pipeline, &shorter) == draw(pipeline, &whole));
  CHECK(sparsedit_generate_options_init(&shorter, before) == SPARSEDIT_OK);
  CHECK(shorter.struct_size == before && shorter.exact_size == -1);
  shorter.struct_size = before + sizeof(int32_t);
  sparsedit_images *images = NULL;
  CHECK(sparsedit_generate(pipeline, &shorter, &images) == SPARSEDIT_INVALID_ARGUMENT && !images);
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
  /* Estimates have no handle and no thread of one: they run on this thread. */
  sparsedit_estimate_options estimate;
  sparsedit_cost cost = {.struct_size = sizeof cost};
  CHECK(sparsedit_estimate_options_init(&estimate, sizeof estimate) == SPARSEDIT_OK);
  estimate.model_path = s->argc > 1 && s->argv[1][0] ? s->argv[1] : NULL;
  CHECK(sparsedit_estimate_cost(&estimate, &options, &cost, NULL, 0) == SPARSEDIT_OK);
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

/** A size from /proc/self/status, in kilobytes. */
static long status_kilobytes(const char *name) {
  FILE *file = fopen("/proc/self/status", "r");
  CHECK(file);
  char line[256];
  long kilobytes = -1;
  while (fgets(line, sizeof line, file))
    if (strncmp(line, name, strlen(name)) == 0) kilobytes = atol(line + strlen(name));
  fclose(file);
  CHECK(kilobytes > 0);
  return kilobytes;
}

/** A large picture lets the process grow by no more than was estimated. */
static void test_peak(int argc, char **argv) {
  sparsedit_pipeline *pipeline = open_pipeline(argc, argv, 1);
  sparsedit_generate_options options = small_request(1, 0);
  draw(pipeline, &options); /* reads the weights and makes oneDNN start */
  long before = status_kilobytes("VmRSS:");
  FILE *file = fopen("/proc/self/clear_refs", "w");
  CHECK(file && fputs("5", file) >= 0 && fclose(file) == 0); /* VmHWM starts again */
  options.width = options.height = 768;
  sparsedit_cost cost = {.struct_size = sizeof cost};
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_pipeline_get_cost(pipeline, &options, &cost));
  draw(pipeline, &options);
  long growth = status_kilobytes("VmHWM:") - before, estimate = (long)(cost.peak_bytes / 1024);
  printf("behaviour: a picture of 768x768 grew the process by %ld KiB, estimated were %ld\n",
         growth, estimate);
  /* The code that oneDNN generates for new shapes, and the heap's own memory, are not in the estimate. */
  CHECK(SANITIZED || growth <= estimate + 16 * 1024);
  sparsedit_pipeline_destroy(pipeline);
}

static void test_growth(sparsedit_pipeline *pipeline, int pictures) {
  sparsedit_generate_options options = small_request(1, 0);
  for (int i = 0; i < 10; i++) draw(pipeline, &options);
  long before = resident_kilobytes();
  for (int i = 0; i < pictures; i++) draw(pipeline, &options);
  long growth = resident_kilobytes() - before;
  printf("behaviour: %d pictures grew the process by %ld KiB\n", pictures, growth);
  /* Less than what one picture's pixels take each; a leak of any stage's buffers is far more. A
     sanitizer keeps what is freed, and looks for leaks itself. */
  CHECK(SANITIZED || growth < 4096);
}

/* ---------------------------------------------------------------------------- messages */

/** A model folder whose text would control a terminal, break lines and fill pages. */
static void test_messages(void) {
  char folder[] = "/tmp/sparsedit-XXXXXX", path[64], message[4096], cut[16];
  CHECK(mkdtemp(folder) != NULL);
  snprintf(path, sizeof path, "%s/model_index.json", folder);
  FILE *file = fopen(path, "w");
  CHECK(file != NULL);
  fputs("{\"_class_name\": \"\\u001b]0;owned\\u0007\\n\\u202e", file);
  for (int i = 0; i < 300000; i++) fputc('x', file);
  fputs("\"}", file);
  fclose(file);
  sparsedit_pipeline_options options;
  CHECK(sparsedit_pipeline_options_init(&options, sizeof options) == SPARSEDIT_OK);
  options.model_path = folder;
  sparsedit_pipeline *pipeline = NULL;
  CHECK(sparsedit_pipeline_create(&options, &pipeline, message, sizeof message) ==
        SPARSEDIT_UNSUPPORTED);
  size_t length = strlen(message);
  CHECK(length > 20 && length <= 1000 && strstr(message, "model_index.json") != NULL);
  for (size_t i = 0; i < length; i++) CHECK((unsigned char)message[i] >= 32 && message[i] != 127);
  CHECK(strstr(message, "\xe2\x80\xae") == NULL); /* U+202E turns the direction of text around */
  CHECK(sparsedit_pipeline_create(&options, &pipeline, cut, sizeof cut) == SPARSEDIT_UNSUPPORTED);
  CHECK(strncmp(cut, message, strlen(cut)) == 0);
  CHECK(unlink(path) == 0 && rmdir(folder) == 0);
}

/** A picture's pixels and parameters make the same picture again. */
static void test_pictures_again(sparsedit_pipeline *pipeline) {
  sparsedit_generate_options request = small_request(1, 7);
  sparsedit_images *images = NULL, *again = NULL;
  CHECK(sparsedit_generate(pipeline, &request, &images) == SPARSEDIT_OK);
  sparsedit_image_view view = {.struct_size = sizeof view}, copy = {.struct_size = sizeof copy};
  CHECK(sparsedit_images_get_view(images, 0, &view) == SPARSEDIT_OK);
  char parameters[2048], message[256] = "x";
  size_t length = sparsedit_images_parameters(images, 0, parameters, sizeof parameters);
  CHECK(length == strlen(parameters) && strstr(parameters, "Seed: 7") != NULL);
  /* From rows with gaps between them, in memory that is freed before the picture. */
  size_t stride = (size_t)view.width * 3 + 5;
  uint8_t *apart = malloc(stride * (size_t)view.height);
  CHECK(apart != NULL);
  for (int32_t y = 0; y < view.height; y++)
    memcpy(apart + (size_t)y * stride, view.pixels + (size_t)y * view.stride,
           (size_t)view.width * 3);
  copy = view;
  copy.pixels = apart;
  copy.stride = stride;
  CHECK(sparsedit_images_create(&copy, parameters, length, &again, message, sizeof message) ==
        SPARSEDIT_OK);
  CHECK(!message[0] && sparsedit_images_count(again) == 1);
  free(apart);
  CHECK(picture_hash(again, 0) == picture_hash(images, 0));
  uint8_t *bytes[2];
  size_t counts[2];
  CHECK(sparsedit_images_encode_jpeg(images, 0, 80, &bytes[0], &counts[0]) == SPARSEDIT_OK);
  CHECK(sparsedit_images_encode_jpeg(again, 0, 80, &bytes[1], &counts[1]) == SPARSEDIT_OK);
  CHECK(counts[0] == counts[1] && memcmp(bytes[0], bytes[1], counts[0]) == 0);
  CHECK(sparsedit_images_get_view(again, 0, &copy) == SPARSEDIT_OK && copy.seed == 7);
  for (int i = 0; i < 2; i++) sparsedit_free(bytes[i]);
  sparsedit_images_destroy(images);
  sparsedit_images_destroy(again);
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
  test_messages();
  test_pictures_again(pipeline);
  test_progress(pipeline, !(argc > 1 && argv[1][0]));
  test_cost(pipeline);
  test_estimates(pipeline, argc > 1 && argv[1][0] ? argv[1] : NULL);
  test_shorter_request(pipeline);
  test_memory_limit(argc, argv);
  test_small_stack(pipeline, argc, argv);
  test_peak(argc, argv);
  test_growth(pipeline, argc > 2 ? atoi(argv[2]) : 60);
  sparsedit_pipeline_destroy(pipeline);
  return 0;
}
