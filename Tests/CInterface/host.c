/*
 * A promise to hosts: loading the library and drawing with it change nothing of the process but what is the
 * library's own.
 *
 * The library is loaded with dlopen, as a plugin would be. Optionally another library is loaded
 * first (one written in Swift, to show that two runtimes do not mix).
 *
 * usage: host LIBRARY [MODEL-FOLDER [OTHER-LIBRARY]]
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

/* Functions of libgomp, declared here because clang has no omp.h for it. */
int omp_get_max_threads(void);
int omp_get_dynamic(void);
void omp_set_num_threads(int);
void omp_set_dynamic(int);
void GOMP_parallel(void (*)(void *), void *, unsigned, unsigned);

extern char **environ;

/** The functions that this test calls, found with dlsym. */
static struct api {
  sparsedit_status (*options_init)(sparsedit_pipeline_options *, size_t);
  sparsedit_status (*create)(const sparsedit_pipeline_options *, sparsedit_pipeline **, char *,
                             size_t);
  void (*destroy)(sparsedit_pipeline *);
  sparsedit_status (*generate_init)(sparsedit_generate_options *, size_t);
  sparsedit_status (*generate)(sparsedit_pipeline *, const sparsedit_generate_options *,
                               sparsedit_images **);
  sparsedit_status (*get)(const sparsedit_images *, size_t, sparsedit_image_view *);
  void (*images_destroy)(sparsedit_images *);
} api;

static void find(void *library, void **function, const char *name) {
  *function = dlsym(library, name);
  CHECK(*function);
}

static void load(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) fprintf(stderr, "%s\n", dlerror());
  CHECK(library);
  find(library, (void **)&api.options_init, "sparsedit_pipeline_options_init");
  find(library, (void **)&api.create, "sparsedit_pipeline_create");
  find(library, (void **)&api.destroy, "sparsedit_pipeline_destroy");
  find(library, (void **)&api.generate_init, "sparsedit_generate_options_init");
  find(library, (void **)&api.generate, "sparsedit_generate");
  find(library, (void **)&api.get, "sparsedit_images_get_view");
  find(library, (void **)&api.images_destroy, "sparsedit_images_destroy");
}

/* ---------------------------------------------------------------------------- state */

typedef struct state {
  struct sigaction handlers[65];
  sigset_t mask;
  char directory[4096];
  char locale[256];
  char **environment;
  char *variables[512];
  mode_t umask;
  int rounding, exceptions;
  unsigned mxcsr;
  unsigned short x87;
  int openmp_threads, openmp_dynamic;
  int files;
} state;

static int open_files(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  CHECK(folder);
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

static int threads(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/task");
  CHECK(folder);
  while (readdir(folder)) count++;
  closedir(folder);
  return count - 2;
}

static void look(state *s) {
  memset(s, 0, sizeof *s);
  for (int signal = 1; signal < 65; signal++) sigaction(signal, NULL, &s->handlers[signal]);
  pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
  CHECK(getcwd(s->directory, sizeof s->directory));
  snprintf(s->locale, sizeof s->locale, "%s", setlocale(LC_ALL, NULL));
  s->environment = environ;
  for (int i = 0; environ[i] && i < 511; i++) s->variables[i] = environ[i];
  s->umask = umask(0);
  umask(s->umask);
  s->rounding = fegetround();
  s->exceptions = fegetexcept();
  /* Only the control bits: the flags of past operations are not a mode. */
  __asm__ volatile("stmxcsr %0" : "=m"(s->mxcsr));
  s->mxcsr &= ~0x3fu;
  __asm__ volatile("fnstcw %0" : "=m"(s->x87));
  s->openmp_threads = omp_get_max_threads();
  s->openmp_dynamic = omp_get_dynamic();
  s->files = open_files();
}

static void compare(const state *a, const state *b) {
  for (int signal = 1; signal < 65; signal++) {
    CHECK(a->handlers[signal].sa_sigaction == b->handlers[signal].sa_sigaction);
    CHECK(a->handlers[signal].sa_flags == b->handlers[signal].sa_flags);
  }
  CHECK(memcmp(&a->mask, &b->mask, sizeof a->mask) == 0);
  CHECK(strcmp(a->directory, b->directory) == 0);
  CHECK(strcmp(a->locale, b->locale) == 0);
  CHECK(a->environment == b->environment);
  CHECK(memcmp(a->variables, b->variables, sizeof a->variables) == 0);
  CHECK(a->umask == b->umask);
  CHECK(a->rounding == b->rounding && a->exceptions == b->exceptions);
  CHECK(a->mxcsr == b->mxcsr && a->x87 == b->x87);
  CHECK(a->openmp_threads == b->openmp_threads && a->openmp_dynamic == b->openmp_dynamic);
  CHECK(a->files == b->files);
}

/* ---------------------------------------------------------------------------- drawing */

static uint64_t draw_once(const char *model) {
  sparsedit_pipeline_options options;
  CHECK(api.options_init(&options, sizeof options) == SPARSEDIT_OK);
  options.model_path = model;
  options.threads = 2;
  options.precision = SPARSEDIT_PRECISION_F32;
  sparsedit_pipeline *pipeline;
  char message[512];
  if (api.create(&options, &pipeline, message, sizeof message) != SPARSEDIT_OK)
    fprintf(stderr, "%s\n", message);
  CHECK(pipeline);
  sparsedit_generate_options request;
  CHECK(api.generate_init(&request, sizeof request) == SPARSEDIT_OK);
  request.prompt = "a green tree";
  request.prompt_length = 12;
  request.steps = 1;
  request.width = request.height = 64;
  sparsedit_images *images;
  CHECK(api.generate(pipeline, &request, &images) == SPARSEDIT_OK);
  sparsedit_image_view view = {.struct_size = sizeof view};
  CHECK(api.get(images, 0, &view) == SPARSEDIT_OK);
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < (size_t)view.height * view.stride; i++)
    hash = (hash ^ view.pixels[i]) * 1099511628211u;
  api.images_destroy(images);
  api.destroy(pipeline);
  return hash;
}

static void count_thread(void *counter) { __atomic_fetch_add((int *)counter, 1, __ATOMIC_SEQ_CST); }

static int team_size(void) {
  int count = 0;
  GOMP_parallel(count_thread, &count, 0, 0);
  return count;
}

static void handler(int signal) { (void)signal; }

/** Sets everything to something that is not the default. */
static void be_a_peculiar_host(void) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGUSR1, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &blocked, NULL);
  CHECK(chdir("/") == 0);
  umask(027);
  setlocale(LC_ALL, "C.UTF-8");
  setenv("OMP_NUM_THREADS", "7", 1); /* too late for libgomp, as in a host that embeds */
  omp_set_num_threads(3);
  omp_set_dynamic(0);
  CHECK(team_size() == 3);
  fesetround(FE_UPWARD);
}

int main(int argc, char **argv) {
  CHECK(argc > 1);
  char library[4096], model[4096] = "", other[4096] = "";
  CHECK(realpath(argv[1], library));
  if (argc > 2 && argv[2][0]) CHECK(realpath(argv[2], model));
  if (argc > 3) CHECK(realpath(argv[3], other));
  if (other[0]) {
    void *loaded = dlopen(other, RTLD_NOW | RTLD_GLOBAL);
    if (!loaded) fprintf(stderr, "%s\n", dlerror());
    CHECK(loaded);
    int (*work)(void) = (int (*)(void))dlsym(loaded, "other_library_work");
    CHECK(work && work() == 42);
  }

  /* Whatever the library prints would land here. */
  char captured[] = "/tmp/sparsedit-host-XXXXXX";
  int file = mkstemp(captured), out = dup(1), err = dup(2);
  CHECK(file >= 0);
  unlink(captured);
  be_a_peculiar_host();

  state before, loaded, drawn;
  int threads_before = threads();
  look(&before);
  dup2(file, 1);
  dup2(file, 2);
  load(library);
  int threads_after_load = threads();
  look(&loaded);
  uint64_t peculiar = draw_once(model[0] ? model : NULL);
  look(&drawn);
  fflush(NULL);
  dup2(out, 1);
  dup2(err, 2);

  compare(&before, &loaded);
  compare(&before, &drawn);
  CHECK(threads_after_load == threads_before);
  CHECK(team_size() == 3);
  CHECK(lseek(file, 0, SEEK_END) == 0);

  /* The host's rounding mode does not reach the picture. */
  fesetround(FE_TONEAREST);
  CHECK(draw_once(model[0] ? model : NULL) == peculiar);

  if (other[0]) {
    int (*work)(void) = (int (*)(void))dlsym(dlopen(other, RTLD_NOW), "other_library_work");
    CHECK(work && work() == 42);
  }
  printf(
      "host: signals, mask, folder, locale, environment, umask, floating point, OpenMP, files and "
      "output unchanged; nothing started at load%s\n",
      other[0] ? " (another Swift library loaded first)" : "");
  return 0;
}
