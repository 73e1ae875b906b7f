/*
 * A host's own loop draws what sparsedit_generate() draws, with every sampler, from prompts and from classes.
 * Rates, tables and callbacks that ask for the same sparse tokens draw the same picture.
 *
 * usage: sampling [MODEL-FOLDER]
 */
#include <math.h>
#include <pthread.h>

#include "check.h"

/* ---------------------------------------------------------------------------- loops */

/** A picture on its way through the stages. */
typedef struct loop {
  sparsedit_pipeline *pipeline;
  sparsedit_pipeline_info info;
  sparsedit_generate_options request;
  int32_t height, width;   /* of the latents */
  size_t count, predicted; /* elements of the latents and of a prediction */
  char name[32];           /* of the last sampler */
  int32_t *mask; /* of the empty prompt and the request's, as in classifier-free guidance */
  float *text, *sample, *input, *prediction, *pixels;
} loop;

static float *allocate(size_t count) {
  float *array = malloc(count * sizeof(float));
  CHECK(array);
  return array;
}

static void embed(loop *l) {
  int32_t length = l->info.max_prompt_tokens;
  size_t needed = 0, n = (size_t)length, size = 2 * n * (size_t)l->info.text_channels;
  int32_t *ids = calloc(2 * n, sizeof *ids);
  l->mask = calloc(2 * n, sizeof *l->mask);
  l->text = allocate(size);
  CHECK(ids && l->mask);
  CHECK(sparsedit_tokenize(l->pipeline, "", 0, 0, NULL, NULL, 0, &needed) ==
        SPARSEDIT_BUFFER_TOO_SMALL);
  CHECK(needed == n);
  CHECK_STATUS(l->pipeline, SPARSEDIT_OK,
               sparsedit_tokenize(l->pipeline, NULL, 0, 0, ids, l->mask, n, NULL));
  CHECK_STATUS(l->pipeline, SPARSEDIT_OK,
               sparsedit_tokenize(l->pipeline, l->request.prompt, l->request.prompt_length, 0,
                                  ids + n, l->mask + n, n, NULL));
  CHECK_STATUS(
      l->pipeline, SPARSEDIT_OK,
      sparsedit_encode_prompt(l->pipeline, ids, l->mask, 2, length, l->text, size, &needed));
  CHECK(needed == size);
  free(ids);
}

static void open_loop(loop *l, sparsedit_pipeline *pipeline) {
  *l = (loop){.pipeline = pipeline, .info = {.struct_size = sizeof l->info}};
  CHECK(sparsedit_pipeline_get_info(pipeline, &l->info) == SPARSEDIT_OK);
  l->request = small_request(5, 3);
  l->request.width = 96;
  if (l->info.class_count > 0) {
    l->request.prompt = NULL;
    l->request.prompt_length = 0;
    l->request.class_label = 1;
  }
  l->height = l->request.height / l->info.latent_scale;
  l->width = l->request.width / l->info.latent_scale;
  size_t plane = (size_t)l->height * (size_t)l->width;
  l->count = plane * (size_t)l->info.latent_channels;
  l->predicted = plane * (size_t)l->info.output_channels;
  l->sample = allocate(l->count);
  l->input = allocate(2 * l->count);
  l->prediction = allocate(2 * l->predicted);
  l->pixels = allocate(3 * (size_t)l->request.height * (size_t)l->request.width);
  if (l->info.class_count == 0) embed(l);
}

static void close_loop(loop *l) {
  free(l->mask), free(l->text), free(l->sample), free(l->input), free(l->prediction),
      free(l->pixels);
}

/** Predicts from both halves of the input, first what guidance steers away from: the guided prediction,
    and behind it the channels of the other half that guidance does not act on. */
static void predict(loop *l, double timestep) {
  const int32_t labels[] = {l->info.class_count, l->request.class_label};
  sparsedit_denoise_options options;
  CHECK(sparsedit_denoise_options_init(&options, sizeof options) == SPARSEDIT_OK);
  options.latents = l->input;
  options.batch = 2;
  options.latent_height = l->height;
  options.latent_width = l->width;
  options.embedding = l->text;
  options.mask = l->mask;
  options.text_length = l->info.max_prompt_tokens;
  if (l->info.class_count > 0) options.class_labels = labels;
  options.timestep = timestep;
  CHECK_STATUS(l->pipeline, SPARSEDIT_OK,
               sparsedit_denoise(l->pipeline, &options, l->prediction, 2 * l->predicted, NULL));
  float guidance = (float)l->info.default_guidance_scale, *values = l->prediction;
  size_t guided = (size_t)l->height * (size_t)l->width * (size_t)l->info.guided_channels;
  for (size_t k = 0; k < guided; k++)
    values[k] += guidance * (values[l->predicted + k] - values[k]);
  for (size_t k = guided; k < l->predicted; k++) values[k] = values[l->predicted + k];
}

static void draw_by_hand(loop *l) {
  const sparsedit_generate_options *r = &l->request;
  sparsedit_sampler *sampler =
      open_sampler(l->pipeline, r->sampler, r->eta, r->steps, r->seed, l->count);
  sparsedit_sampler_info info = {.struct_size = sizeof info};
  CHECK(sparsedit_sampler_get_info(sampler, &info) == SPARSEDIT_OK);
  CHECK(info.steps == r->steps && info.name[0]);
  snprintf(l->name, sizeof l->name, "%s %.1f", info.name, r->eta);
  int has_variance = l->predicted == 2 * l->count;
  CHECK(info.uses_variance == (r->sampler == SPARSEDIT_SAMPLER_DDPM && has_variance));
  CHECK(info.is_stochastic == (r->sampler == SPARSEDIT_SAMPLER_DDPM || r->eta > 0));
  CHECK((info.initial_noise_scale != 1) == (r->sampler == SPARSEDIT_SAMPLER_EULER));
  CHECK_STATUS(
      l->pipeline, SPARSEDIT_OK,
      sparsedit_noise(l->pipeline, r->seed, r->height, r->width, 1, l->sample, l->count, NULL));
  for (size_t k = 0; k < l->count; k++) l->sample[k] *= (float)info.initial_noise_scale;
  for (int32_t i = 0; i < info.steps; i++) {
    CHECK(sparsedit_sampler_scale_input(sampler, l->sample, l->input, l->count) == SPARSEDIT_OK);
    memcpy(l->input + l->count, l->input, l->count * sizeof(float));
    predict(l, sparsedit_sampler_timestep(sampler, i));
    size_t outputs = info.uses_variance ? 2 * l->count : l->count;
    CHECK(sparsedit_sampler_step(sampler, l->prediction, outputs, l->sample, l->count) ==
          SPARSEDIT_OK);
  }
  sparsedit_sampler_destroy(sampler);
  CHECK_STATUS(l->pipeline, SPARSEDIT_OK,
               sparsedit_decode(l->pipeline, l->sample, 1, l->height, l->width, l->pixels,
                                3 * (size_t)r->height * (size_t)r->width, NULL));
}

/** Largest difference of the loop's pixels from a picture's, in grey levels. */
static int difference(const loop *l, const sparsedit_image_view *picture) {
  int worst = 0;
  size_t area = (size_t)picture->width * (size_t)picture->height;
  for (size_t k = 0; k < 3 * area; k++) {
    double value = fmin(fmax(l->pixels[k] * 0.5 + 0.5, 0), 1) * 255;
    size_t y = k % area / (size_t)picture->width, x = k % area % (size_t)picture->width;
    int other = picture->pixels[y * picture->stride + 3 * x + k / area];
    if (abs((int)lrint(value) - other) > worst) worst = abs((int)lrint(value) - other);
  }
  return worst;
}

static void test_samplers(sparsedit_pipeline *pipeline) {
  static const struct {
    int32_t kind;
    double eta;
  } samplers[] = {
      {SPARSEDIT_SAMPLER_MODEL, 0},  {SPARSEDIT_SAMPLER_DDPM, 0},     {SPARSEDIT_SAMPLER_DDIM, 0},
      {SPARSEDIT_SAMPLER_DDIM, 0.5}, {SPARSEDIT_SAMPLER_DPMPP_2M, 0}, {SPARSEDIT_SAMPLER_EULER, 0},
  };
  enum { COUNT = sizeof samplers / sizeof samplers[0] };
  uint64_t hashes[COUNT];
  char names[COUNT][32];
  int worst = 0, count = 0;
  loop l;
  open_loop(&l, pipeline);
  for (int i = 0; i < COUNT; i++) {
    /* With classes these draw noise for both halves of the batch, as diffusers' DiTPipeline does; the
       Python tests have that loop. */
    int is_stochastic = samplers[i].kind == SPARSEDIT_SAMPLER_DDPM || samplers[i].eta > 0;
    if (l.info.class_count > 0 && is_stochastic) continue;
    l.request.sampler = samplers[i].kind;
    l.request.eta = samplers[i].eta;
    draw_by_hand(&l);
    sparsedit_images *images = NULL;
    CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_generate(pipeline, &l.request, &images));
    sparsedit_image_view view = {.struct_size = sizeof view};
    CHECK(sparsedit_images_get_view(images, 0, &view) == SPARSEDIT_OK);
    int levels = difference(&l, &view);
    if (levels > worst) worst = levels;
    hashes[count] = picture_hash(images, 0);
    memcpy(names[count++], l.name, sizeof l.name);
    sparsedit_images_destroy(images);
  }
  close_loop(&l);
  /* One of them is the model's own once more; the others draw something else. Only Euler may agree with
     DDIM: without noise they are one method in other variables. */
  for (int i = 0; i < count; i++)
    for (int k = 0; k < i; k++)
      if (strcmp(names[i], names[k]) == 0)
        CHECK(hashes[i] == hashes[k]);
      else if (strncmp(names[i], "Euler", 5) != 0)
        CHECK(hashes[i] != hashes[k]);
  printf("sampling: loops by hand with %d samplers differ from generate by at most %d of 255\n",
         count, worst);
  /* Same operations in the same order; one unit is allowed for a sum that rounds the other way. */
  CHECK(worst <= 1);
}

/* ---------------------------------------------------------------------------- tokens */

#define STEPS 6

typedef struct tokens {
  int32_t kept[STEPS];
} tokens;

static int32_t keep_tokens(const sparsedit_step *step, void *user_data) {
  ((tokens *)user_data)->kept[step->step - 1] = step->tokens;
  return 0;
}

/** A request of several steps for a picture that is not square, of 8 x 6 tokens at 32 pixels each. */
static sparsedit_generate_options token_request(int32_t sparsity) {
  sparsedit_generate_options options = small_request(STEPS, 8);
  options.height = 256;
  options.width = 192;
  options.sparsity = sparsity;
  return options;
}

static uint64_t draw_tokens(sparsedit_pipeline *pipeline, sparsedit_generate_options options,
                            tokens *t) {
  memset(t, 0, sizeof *t);
  options.on_step = keep_tokens;
  options.on_step_user_data = t;
  return draw(pipeline, &options);
}

static int same(const tokens *a, const tokens *b) { return memcmp(a, b, sizeof *a) == 0; }

/** What a callback was asked for. */
typedef struct asked {
  sparsedit_pipeline *pipeline;
  pthread_t thread;
  int calls;
  int32_t timestep, height, width;
} asked;

/** The quarters of the rates 0.3 to 0.9, by hand. */
static int32_t answer_quarters(sparsedit_token_row *row, int32_t height, int32_t width,
                               void *user_data) {
  asked *a = user_data;
  CHECK(pthread_equal(a->thread, pthread_self()));
  CHECK(row->height == 0 && row->width == 0 && row->rate == 0);
  CHECK(height == a->height && width == a->width);
  CHECK(row->timestep >= 0 && (a->calls == 0 || row->timestep < a->timestep));
  a->timestep = row->timestep;
  a->calls++;
  /* It is part of the call. */
  sparsedit_cost cost = {.struct_size = sizeof cost};
  CHECK(sparsedit_pipeline_get_cost(a->pipeline, NULL, &cost) != SPARSEDIT_OK);
  sparsedit_generate_options options = small_request(1, 0);
  CHECK(sparsedit_pipeline_get_cost(a->pipeline, &options, &cost) == SPARSEDIT_BUSY);
  row->rate = 0.3 + row->timestep / 250 / 3.0 * (0.9 - 0.3);
  return 0;
}
static int32_t answer_grid(sparsedit_token_row *row, int32_t height, int32_t width,
                           void *user_data) {
  (void)height, (void)width, (void)user_data;
  row->height = row->timestep < 500 ? 5 : 2;
  row->width = row->timestep < 500 ? 3 : 1;
  return 0;
}
static int32_t answer_no(sparsedit_token_row *row, int32_t height, int32_t width, void *user_data) {
  (void)row, (void)height, (void)width, (void)user_data;
  return 1;
}
static int32_t answer_by_cancelling(sparsedit_token_row *row, int32_t height, int32_t width,
                                    void *user_data) {
  (void)row, (void)height, (void)width;
  CHECK(sparsedit_pipeline_cancel(user_data) == SPARSEDIT_OK);
  return 0;
}

static void test_quarters(sparsedit_pipeline *pipeline) {
  tokens by_rates, by_callback;
  sparsedit_generate_options rates = token_request(SPARSEDIT_SPARSITY_RATES);
  rates.rate_min = 0.3;
  rates.rate_max = 0.9;
  rates.token_schedule = SPARSEDIT_TOKEN_SCHEDULE_QUARTERS;
  uint64_t wanted = draw_tokens(pipeline, rates, &by_rates);
  CHECK(by_rates.kept[0] < by_rates.kept[STEPS - 1]);
  asked a = {.pipeline = pipeline, .thread = pthread_self(), .height = 8, .width = 6};
  sparsedit_generate_options callback = token_request(SPARSEDIT_SPARSITY_CALLBACK);
  callback.on_tokens = answer_quarters;
  callback.on_tokens_user_data = &a;
  CHECK(draw_tokens(pipeline, callback, &by_callback) == wanted);
  CHECK(same(&by_rates, &by_callback) && a.calls == STEPS);
  sparsedit_cost sparse = {.struct_size = sizeof sparse}, same_cost = sparse, dense = sparse;
  sparsedit_generate_options all = token_request(SPARSEDIT_SPARSITY_DENSE);
  a.calls = 0;
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_pipeline_get_cost(pipeline, &callback, &sparse));
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_pipeline_get_cost(pipeline, &rates, &same_cost));
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_pipeline_get_cost(pipeline, &all, &dense));
  CHECK(sparse.macs_denoise == same_cost.macs_denoise && sparse.macs_denoise < dense.macs_denoise);
  /* Other schedules keep other numbers of tokens. */
  rates.token_schedule = SPARSEDIT_TOKEN_SCHEDULE_LINEAR;
  draw_tokens(pipeline, rates, &by_callback);
  CHECK(!same(&by_rates, &by_callback));
  rates.token_schedule = SPARSEDIT_TOKEN_SCHEDULE_CONSTANT;
  draw_tokens(pipeline, rates, &by_callback);
  for (int i = 0; i < STEPS; i++) CHECK(by_callback.kept[i] == by_callback.kept[0]);
}

static void test_grids(sparsedit_pipeline *pipeline) {
  static const sparsedit_token_row rows[] = {{0, 5, 3, 0}, {500, 2, 1, 0}};
  tokens by_table, by_callback;
  sparsedit_generate_options table = token_request(SPARSEDIT_SPARSITY_TABLE);
  table.token_rows = rows;
  table.token_row_count = 2;
  uint64_t wanted = draw_tokens(pipeline, table, &by_table);
  CHECK(by_table.kept[0] == 2 && by_table.kept[STEPS - 1] == 15);
  sparsedit_generate_options callback = token_request(SPARSEDIT_SPARSITY_CALLBACK);
  callback.on_tokens = answer_grid;
  CHECK(draw_tokens(pipeline, callback, &by_callback) == wanted);
  CHECK(same(&by_table, &by_callback));
  sparsedit_images *images = (sparsedit_images *)&table;
  callback.on_tokens = answer_no;
  CHECK_STATUS(pipeline, SPARSEDIT_CANCELLED, sparsedit_generate(pipeline, &callback, &images));
  CHECK(images == NULL);
  callback.on_tokens = answer_by_cancelling;
  callback.on_tokens_user_data = pipeline;
  CHECK_STATUS(pipeline, SPARSEDIT_CANCELLED, sparsedit_generate(pipeline, &callback, &images));
  CHECK(draw(pipeline, &table) == wanted);
}

/* ---------------------------------------------------------------------------- classes */

static int32_t find(sparsedit_pipeline *pipeline, const char *name) {
  int32_t label = -7;
  if (sparsedit_pipeline_find_class(pipeline, name, strlen(name), &label) == SPARSEDIT_OK)
    return label;
  CHECK(label == -7);
  return -1;
}

/** Mistakes that only a model of classes can be asked with. */
static void test_classes(sparsedit_pipeline *pipeline, const sparsedit_pipeline_info *info) {
  CHECK(find(pipeline, "golden retriever") == 207 && find(pipeline, " Giant Panda ") == 388);
  CHECK(find(pipeline, "crane") == -1 && find(pipeline, "unicorn") == -1 &&
        find(pipeline, "") == -1);
  CHECK(info->text_channels == 0 && info->max_prompt_tokens == 0 &&
        info->text_encoder_parameters == 0);
  sparsedit_generate_options options = small_request(1, 0);
  sparsedit_images *images = NULL;
  const int32_t wrong[] = {-1, -2, info->class_count, INT32_MAX};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    options.prompt_length = 0;
    options.class_label = wrong[i];
    CHECK_STATUS(pipeline, SPARSEDIT_INVALID_ARGUMENT,
                 sparsedit_generate(pipeline, &options, &images));
  }
  options.class_label = 0;
  options.prompt_length = 1;
  CHECK_STATUS(pipeline, SPARSEDIT_INVALID_ARGUMENT,
               sparsedit_generate(pipeline, &options, &images));
  int32_t ids[2], mask[2] = {1, 1}, labels[2] = {0, info->class_count + 1};
  float values[16 * 16 * 16] = {0};
  size_t needed;
  CHECK_STATUS(pipeline, SPARSEDIT_INVALID_ARGUMENT,
               sparsedit_tokenize(pipeline, "a", 1, 2, ids, mask, 2, &needed));
  CHECK_STATUS(pipeline, SPARSEDIT_INVALID_ARGUMENT,
               sparsedit_encode_prompt(pipeline, mask, mask, 1, 2, values, 2, &needed));
  sparsedit_denoise_options step;
  CHECK(sparsedit_denoise_options_init(&step, sizeof step) == SPARSEDIT_OK);
  step.latents = values;
  step.batch = 2;
  step.latent_height = step.latent_width = 4;
  size_t count = sizeof values / sizeof values[0];
#define REFUSED                                      \
  CHECK_STATUS(pipeline, SPARSEDIT_INVALID_ARGUMENT, \
               sparsedit_denoise(pipeline, &step, values, count, NULL))
  REFUSED; /* no labels */
  step.class_labels = labels;
  REFUSED; /* one too high */
  labels[1] = -1;
  REFUSED;
  labels[1] = info->class_count;
  step.embedding = values;
  step.text_length = 1;
  REFUSED; /* labels and text */
#undef REFUSED
  step.embedding = NULL;
  step.text_length = 0;
  CHECK_STATUS(pipeline, SPARSEDIT_OK, sparsedit_denoise(pipeline, &step, values, count, NULL));
}

int main(int argc, char **argv) {
  sparsedit_pipeline *pipeline = open_pipeline(argc, argv, 1);
  test_samplers(pipeline);
  sparsedit_pipeline_info info = {.struct_size = sizeof info};
  CHECK(sparsedit_pipeline_get_info(pipeline, &info) == SPARSEDIT_OK);
  if (info.class_count > 0) test_classes(pipeline, &info);
  if (info.is_sparse && info.size_multiple == 32) {
    test_quarters(pipeline);
    test_grids(pipeline);
    printf("sampling: rates, tables and callbacks keep the same tokens\n");
  }
  sparsedit_pipeline_destroy(pipeline);
  return 0;
}
