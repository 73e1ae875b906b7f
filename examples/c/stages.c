/*
 * The stages one by one: a denoising loop of your own, here with a guidance that fades.
 *
 *   cc -I include examples/c/stages.c -L build -lsparsedit -lm -o stages
 *   ./stages picture.ppm [MODEL-FOLDER]
 *
 * tokenize -> encode prompt -> noise -> (denoise, guidance, sampler step) x steps -> decode. All
 * arrays are the caller's; with capacity 0 a function writes to `needed` how large they must be.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sparsedit.h"

static sparsedit_pipeline *pipeline;

static void must(sparsedit_status status) {
  char message[512];
  if (status == SPARSEDIT_OK) return;
  sparsedit_pipeline_message(pipeline, message, sizeof message);
  fprintf(stderr, "%s: %s\n", sparsedit_status_name(status), message);
  exit(1);
}

/* Embeds the empty prompt (what guidance steers away from) and the wanted one, as a batch of two. */
static float *embed(const char *prompt, int32_t length, int32_t *mask, size_t *count) {
  size_t n = (size_t)length;
  int32_t *ids = calloc(2 * n, sizeof *ids);
  must(sparsedit_tokenize(pipeline, "", 0, 0, ids, mask, n, NULL));
  must(sparsedit_tokenize(pipeline, prompt, strlen(prompt), 0, ids + n, mask + n, n, NULL));
  sparsedit_encode_prompt(pipeline, ids, mask, 2, length, NULL, 0, count);
  float *embedding = malloc(*count * sizeof *embedding);
  must(sparsedit_encode_prompt(pipeline, ids, mask, 2, length, embedding, *count, NULL));
  free(ids);
  return embedding;
}

int main(int argc, char **argv) {
  sparsedit_pipeline_options options;
  sparsedit_pipeline_options_init(&options, sizeof options);
  options.model_path = argc > 2 ? argv[2] : NULL;
  must(sparsedit_pipeline_create(&options, &pipeline, NULL, 0));
  sparsedit_pipeline_info info = {.struct_size = sizeof info};
  must(sparsedit_pipeline_get_info(pipeline, &info));

  sparsedit_denoise_options step;
  sparsedit_denoise_options_init(&step, sizeof step);
  size_t text_count, count, pixel_count;
  int32_t *mask = calloc(2 * (size_t)info.max_prompt_tokens, sizeof *mask);
  float *embedding = embed("a white boat in the rain", info.max_prompt_tokens, mask, &text_count);
  int32_t height = info.default_height, width = info.default_width;
  sparsedit_noise(pipeline, 0, height, width, 1, NULL, 0, &count);
  float *latents = malloc(2 * count * sizeof *latents);
  must(sparsedit_noise(pipeline, 7, height, width, 1, latents, count, NULL));

  step.latents = latents;
  step.batch = 2;
  step.latent_height = height / info.latent_scale;
  step.latent_width = width / info.latent_scale;
  step.embedding = embedding;
  step.mask = mask;
  step.text_length = info.max_prompt_tokens;
  /* The output may have more channels than the latents: a variance, which DDIM does not use. */
  size_t predicted = count / (size_t)info.latent_channels * (size_t)info.output_channels;
  float *prediction = malloc(2 * predicted * sizeof *prediction);

  /* DDIM takes the noise as it is; sparsedit_sampler_get_info() tells what other samplers need. */
  sparsedit_sampler_options how;
  sparsedit_sampler_options_init(&how, sizeof how);
  how.sampler = SPARSEDIT_SAMPLER_DDIM, how.steps = 12;
  sparsedit_sampler *sampler;
  must(sparsedit_sampler_create(pipeline, &how, &sampler));
  for (int32_t i = 0; i < how.steps; i++) {
    memcpy(latents + count, latents, count * sizeof *latents);
    step.timestep = sparsedit_sampler_timestep(sampler, i);
    must(sparsedit_denoise(pipeline, &step, prediction, 2 * predicted, NULL));
    float guidance = 1 + 5 * (float)(step.timestep / 1000);
    for (size_t k = 0; k < count; k++)
      prediction[k] += guidance * (prediction[predicted + k] - prediction[k]);
    must(sparsedit_sampler_step(sampler, prediction, count, latents, count));
  }

  sparsedit_decode(pipeline, NULL, 1, step.latent_height, step.latent_width, NULL, 0, &pixel_count);
  float *pixels = malloc(pixel_count * sizeof *pixels);
  must(sparsedit_decode(pipeline, latents, 1, step.latent_height, step.latent_width, pixels,
                        pixel_count, NULL));
  FILE *file = fopen(argc > 1 ? argv[1] : "picture.ppm", "wb");
  if (!file) return perror("picture"), 1;
  fprintf(file, "P6 %d %d 255\n", width, height);
  size_t area = pixel_count / 3;
  for (size_t i = 0; i < pixel_count; i++)
    fputc((int)lrintf(127.5f * (fminf(fmaxf(pixels[i % 3 * area + i / 3], -1), 1) + 1)), file);
  fclose(file);
  sparsedit_sampler_destroy(sampler), sparsedit_pipeline_destroy(pipeline);
  free(mask), free(embedding), free(latents), free(prediction), free(pixels);
  return 0;
}
