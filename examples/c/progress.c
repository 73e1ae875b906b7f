/*
 * Progress, previews, and a cancel from another thread.
 *
 *   cc -I include examples/c/progress.c -L build -lsparsedit -lpthread -o progress
 *   ./progress [MODEL-FOLDER]
 *
 * The callbacks run on the thread that called sparsedit_generate(); sparsedit_pipeline_cancel() may
 * be called from any thread and takes effect within one block of the model.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "sparsedit.h"

typedef struct window {
  sparsedit_pipeline *pipeline;
  int previews;
  int cancel_at_step; /* as if the user had pressed a button then; 0: never */
  pthread_t button;
  int is_pressed;
} window;

/* What a user interface's thread would do when its Cancel button is pressed. */
static void *press_cancel(void *argument) {
  window *w = argument;
  sparsedit_pipeline_cancel(w->pipeline);
  return NULL;
}

static int32_t on_step(const sparsedit_step *step, void *user_data) {
  window *w = user_data;
  printf("\rstep %2d of %d, %3d of %d tokens, %.1f s left ", step->step, step->steps, step->tokens,
         step->dense_tokens, step->seconds_left);
  fflush(stdout);
  if (step->step == w->cancel_at_step)
    w->is_pressed = pthread_create(&w->button, NULL, press_cancel, w) == 0;
  return 0; /* not zero would cancel as well */
}

static void on_preview(const sparsedit_step *step, const sparsedit_image_view *preview,
                       void *user_data) {
  window *w = user_data;
  (void)step;
  /* A real window would copy preview->width x preview->height pixels to the screen here, because
     they belong to the library when this function returns. */
  if (preview->pixels) w->previews++;
}

static sparsedit_status draw(window *w, int cancel_at_step) {
  static const char prompt[] = "a yellow flower to the left of a blue house, at night";
  sparsedit_generate_options request;
  sparsedit_generate_options_init(&request, sizeof request);
  request.prompt = prompt;
  request.prompt_length = strlen(prompt);
  request.on_step = on_step;
  request.on_preview = on_preview;
  request.on_step_user_data = request.on_preview_user_data = w;
  w->cancel_at_step = cancel_at_step;
  w->is_pressed = w->previews = 0;

  sparsedit_images *images;
  sparsedit_status status = sparsedit_generate(w->pipeline, &request, &images);
  if (w->is_pressed) pthread_join(w->button, NULL);
  printf("\n%s, %zu picture(s), %d previews\n", sparsedit_status_name(status),
         sparsedit_images_count(images), w->previews);
  sparsedit_images_destroy(images);
  return status;
}

int main(int argc, char **argv) {
  sparsedit_pipeline_options options;
  sparsedit_pipeline_options_init(&options, sizeof options);
  options.model_path = argc > 1 ? argv[1] : NULL;
  window w = {0};
  char message[512];
  if (sparsedit_pipeline_create(&options, &w.pipeline, message, sizeof message) != SPARSEDIT_OK) {
    fprintf(stderr, "%s\n", message);
    return 1;
  }
  /* The second call shows that a handle works as before after a cancel. */
  int is_cancelled = draw(&w, 2) == SPARSEDIT_CANCELLED;
  int is_drawn = draw(&w, 0) == SPARSEDIT_OK;
  sparsedit_pipeline_destroy(w.pipeline);
  return is_cancelled && is_drawn ? 0 : 1;
}
