/*
 * A handle's threads: as many as were asked for, named, asleep when there is nothing to do, gone with
 * the handle; and a status where the system refuses them. Any number of threads draws the same picture.
 *
 * usage: threads [MODEL-FOLDER]
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum {
  /** For what must happen, but may happen late on a busy machine. */
  patience_ms = 30000,
  /** A user that has no processes but those that the test gives it. */
  lone_user = 1947483
};

static int argument_count;
static char **arguments;

static void sleep_ms(long milliseconds) {
  struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  while (nanosleep(&time, &time) != 0 && errno == EINTR) {
  }
}

/* ---------------------------------------------------------------------------- what /proc shows */

static int entries(const char *path) {
  int count = 0;
  DIR *folder = opendir(path);
  CHECK(folder);
  for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}

static int threads(void) { return entries("/proc/self/task"); }

/** Threads whose name begins with the library's. */
static int named_threads(void) {
  int count = 0;
  DIR *folder = opendir("/proc/self/task");
  CHECK(folder);
  for (struct dirent *entry; (entry = readdir(folder));) {
    char path[300], name[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
    FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
    if (!file) continue; /* it has just ended */
    if (fgets(name, sizeof name, file)) {
      name[strcspn(name, "\n")] = 0;
      count += strcmp(name, "sparsedit") == 0 || strncmp(name, "sparsedit-", 10) == 0;
    }
    fclose(file);
  }
  closedir(folder);
  return count;
}

/** A thread that was joined may be in the list for a moment more. */
static void expect_threads(int wanted) {
  for (int waited = 0; threads() != wanted && waited < patience_ms; waited += 10) sleep_ms(10);
  if (threads() != wanted) fprintf(stderr, "%d threads, not %d\n", threads(), wanted);
  CHECK(threads() == wanted);
}

/* ---------------------------------------------------------------------------- number and names */

typedef struct count {
  int others, own;
} count;

static int32_t on_step(const sparsedit_step *step, void *user_data) {
  const count *c = user_data;
  CHECK(threads() == c->others + c->own && named_threads() == c->own);
  return step->step < 0;
}

static void test_count(int32_t number) {
  count c = {threads(), number};
  sparsedit_pipeline *pipeline = open_pipeline(argument_count, arguments, number);
  CHECK(threads() == c.others + c.own);
  CHECK(named_threads() == c.own);
  sparsedit_pipeline_info info = {.struct_size = sizeof info};
  CHECK(sparsedit_pipeline_get_info(pipeline, &info) == SPARSEDIT_OK && info.threads == number);
  sparsedit_generate_options options = small_request(2, 1);
  options.on_step = on_step;
  options.on_step_user_data = &c;
  draw(pipeline, &options);
  CHECK(threads() == c.others + c.own);
  sparsedit_pipeline_destroy(pipeline);
  expect_threads(c.others);
  CHECK(named_threads() == 0);
}

static void test_many_handles(void) {
  int threads_before = threads(), files_before = entries("/proc/self/fd");
  for (int i = 0; i < 100; i++)
    sparsedit_pipeline_destroy(open_pipeline(argument_count, arguments, 1 + i % 4));
  expect_threads(threads_before);
  CHECK(entries("/proc/self/fd") == files_before);
}

/* ---------------------------------------------------------------------------- idle */

static double processor_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

/** Workers that the system has not let run since the request have yet to fall asleep: hence three
    attempts. What spins or wakes up by the clock fails them all. */
static void test_idle(void) {
  sparsedit_pipeline *pipeline = open_pipeline(argument_count, arguments, 4);
  sparsedit_generate_options options = small_request(2, 1);
  draw(pipeline, &options);
  double used = 0;
  for (int attempt = 0; attempt < 3; attempt++) {
    sleep_ms(100);
    double before = processor_ms();
    sleep_ms(2000);
    used = processor_ms() - before;
    if (used < 1) break;
  }
  printf("threads: an idle handle used %.3f ms of processor time in 2 s\n", used);
  CHECK(SANITIZED || used < 1); /* ThreadSanitizer has a thread of its own */
  sparsedit_pipeline_destroy(pipeline);
}

/* ---------------------------------------------------------------------------- pixels */

static pid_t burn_processor_time(void) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child > 0) return child;
  for (volatile unsigned long i = 0;; i++) {
    if (i % 1000000 == 0 && getppid() == 1) _exit(0); /* not beyond the test */
  }
}

static uint64_t picture(int32_t threads, int32_t precision) {
  sparsedit_pipeline_options options;
  CHECK(sparsedit_pipeline_options_init(&options, sizeof options) == SPARSEDIT_OK);
  options.model_path = argument_count > 1 && arguments[1][0] ? arguments[1] : NULL;
  options.precision = precision;
  options.threads = threads;
  sparsedit_pipeline *pipeline = NULL;
  CHECK(sparsedit_pipeline_create(&options, &pipeline, NULL, 0) == SPARSEDIT_OK);
  sparsedit_generate_options request = small_request(3, 6);
  request.width = 128; /* an operation then has many blocks of different sizes */
  request.height = 192;
  uint64_t hash = draw(pipeline, &request);
  sparsedit_pipeline_destroy(pipeline);
  return hash;
}

/** What every picture has to be, in f32 and bf16; 0 before the first. */
static uint64_t pictures[2];

static void test_pixels(const char *when) {
  const int32_t numbers[] = {1, 2, 3, 7};
  for (int bf16 = 0; bf16 < 2; bf16++)
    for (int i = 0; i < 4; i++) {
      int32_t precision = bf16 ? SPARSEDIT_PRECISION_BF16 : SPARSEDIT_PRECISION_F32;
      uint64_t hash = picture(numbers[i], precision);
      if (!pictures[bf16]) pictures[bf16] = hash;
      CHECK(hash == pictures[bf16]);
    }
  CHECK(pictures[0] != pictures[1]);
  printf("threads: 1, 2, 3 and 7 drew the same picture in f32 and in bf16, %s\n", when);
}

static void test_pixels_under_load(void) {
  pid_t children[2];
  for (int i = 0; i < 2; i++) children[i] = burn_processor_time();
  test_pixels("also beside two busy processes");
  for (int i = 0; i < 2; i++) {
    kill(children[i], SIGKILL);
    CHECK(waitpid(children[i], NULL, 0) == children[i]);
  }
}

/** What libgomp, below oneDNN, reads when it is loaded has no effect: once more, in a process with it. */
static void test_openmp_variables(void) {
  fflush(NULL);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    const char *variables[][2] = {{"OMP_NUM_THREADS", "5"},      {"OMP_DYNAMIC", "false"},
                                  {"OMP_WAIT_POLICY", "active"}, {"GOMP_SPINCOUNT", "infinity"},
                                  {"OMP_THREAD_LIMIT", "5"},     {"OMP_STACKSIZE", "64M"}};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
      setenv(variables[i][0], variables[i][1], 1);
    char hashes[2][32];
    for (int i = 0; i < 2; i++)
      snprintf(hashes[i], sizeof hashes[i], "%llu", (unsigned long long)pictures[i]);
    const char *model = argument_count > 1 ? arguments[1] : "";
    execl("/proc/self/exe", "threads", model, hashes[0], hashes[1], NULL);
    _exit(1);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/** The other process: the arguments say which pictures to draw again. */
static int run_with_openmp_variables(void) {
  for (int i = 0; i < 2; i++) pictures[i] = strtoull(arguments[2 + i], NULL, 10);
  test_count(2);
  test_count(7);
  test_idle();
  test_pixels("also with OpenMP's variables set");
  return 0;
}

/* ---------------------------------------------------------------------------- refused */

enum outcome { opened = 10, refused_threads, refused_otherwise, not_tried };

/** Opens the model with `number` threads where a limit may be in the way. Both ways, nothing stays. */
static enum outcome try_to_open(int32_t number) {
  sparsedit_pipeline_options options;
  CHECK(sparsedit_pipeline_options_init(&options, sizeof options) == SPARSEDIT_OK);
  options.model_path = argument_count > 1 && arguments[1][0] ? arguments[1] : NULL;
  options.threads = number;
  char message[512] = "";
  sparsedit_pipeline *pipeline = NULL;
  int32_t status = (int32_t)sparsedit_pipeline_create(&options, &pipeline, message, sizeof message);
  CHECK(status == SPARSEDIT_OK || status == SPARSEDIT_OUT_OF_MEMORY);
  CHECK((status == SPARSEDIT_OK) == (pipeline != NULL) && (status == SPARSEDIT_OK) == !message[0]);
  CHECK(!strchr(message, '\n'));
  if (pipeline) CHECK(named_threads() == number);
  sparsedit_pipeline_destroy(pipeline);
  if (status == SPARSEDIT_OK) return opened;
  return strstr(message, "thread") ? refused_threads : refused_otherwise;
}

/** Runs `body` in a process of its own, which has to end by itself. */
static enum outcome in_child(enum outcome (*body)(rlim_t), rlim_t limit) {
  fflush(NULL);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    int before = threads();
    enum outcome outcome = body(limit);
    expect_threads(before);
    _exit(outcome);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) fprintf(stderr, "ended by signal %d\n", WTERMSIG(status));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) >= opened);
  return (enum outcome)WEXITSTATUS(status);
}

static rlim_t mapped_bytes(void) {
  FILE *file = fopen("/proc/self/statm", "r");
  unsigned long pages = 0;
  CHECK(file && fscanf(file, "%lu", &pages) == 1);
  fclose(file);
  return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/** With `more` bytes of address space than are taken now. */
static enum outcome with_address_space(rlim_t more) {
  rlim_t bytes = mapped_bytes() + more;
  CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){bytes, bytes}) == 0);
  return try_to_open(64);
}

/** With `processes` that this user may have; the user is one that has none but this. */
static enum outcome with_processes(rlim_t processes) {
  if (getuid() == 0 && setresuid(lone_user, lone_user, lone_user) != 0) return not_tried;
  const char *model = argument_count > 1 && arguments[1][0] ? arguments[1] : "/";
  if (access(model, R_OK | X_OK) != 0) return not_tried;
  CHECK(setrlimit(RLIMIT_NPROC, &(struct rlimit){processes, processes}) == 0);
  return try_to_open(4);
}

static void test_refused(void) {
  /* Up to what 64 threads may want: each that allocates reserves a heap of 64 MiB where it can. */
  int outcomes[4] = {0}, limits = 0;
  for (rlim_t megabytes = 8; megabytes <= 16384; megabytes += 1 + megabytes / 6, limits++)
    outcomes[in_child(with_address_space, megabytes << 20) - opened]++;
  CHECK(outcomes[0] && outcomes[1] && outcomes[2]);
  printf(
      "threads: under %d limits of addresses %d times opened, %d times no threads, %d times no "
      "memory\n",
      limits, outcomes[0], outcomes[1], outcomes[2]);

  /* The process itself counts, and where it is not alone, others of the user. */
  enum outcome none = in_child(with_processes, 1);
  if (none == not_tried) {
    printf(
        "threads: RLIMIT_NPROC not tried: root is not bound by it, and another user cannot be\n");
    return;
  }
  CHECK(none == refused_threads);
  if (getuid() != 0) return;
  for (rlim_t processes = 2; processes <= 4; processes++)
    CHECK(in_child(with_processes, processes) == refused_threads);
  CHECK(in_child(with_processes, 5) == opened);
}

static void *do_nothing(void *data) { return data; }

/** ThreadSanitizer starts a thread of its own when it sees the first one. */
static void let_sanitizer_start(void) {
  pthread_t first;
  CHECK(pthread_create(&first, NULL, do_nothing, NULL) == 0 && pthread_join(first, NULL) == 0);
  sleep_ms(500);
}

int main(int argc, char **argv) {
  argument_count = argc;
  arguments = argv;
  if (SANITIZED) let_sanitizer_start();
  if (argc > 3) return run_with_openmp_variables();
  if (!SANITIZED) test_refused(); /* a sanitizer does not survive it */
  for (int i = 0; i < 4; i++) test_count((const int32_t[]){1, 2, 4, 7}[i]);
  test_many_handles();
  test_idle();
  test_pixels("alone");
  test_pixels_under_load();
  test_openmp_variables();
  return 0;
}
