#define _GNU_SOURCE
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "CKernels.h"

// Of libgomp: what GCC turns `#pragma omp parallel` into. Clang's own pragma would want libomp.
extern void GOMP_parallel(
  void (*body)(void *), void *data, unsigned threads, unsigned flags);
extern int omp_get_thread_num(void);
extern int omp_get_num_threads(void);
extern void omp_set_dynamic(int);

// ThreadSanitizer cannot see how libgomp, which is not built for it, starts and joins a team. These
// tell it: the call happens before the parts, and they before its return.
#ifdef __has_feature
#if __has_feature(thread_sanitizer)
extern void __tsan_acquire(void *address);
extern void __tsan_release(void *address);
#define HAPPENS_BEFORE(address) __tsan_release(address)
#define HAPPENS_AFTER(address) __tsan_acquire(address)
#endif
#endif
#ifndef HAPPENS_BEFORE
#define HAPPENS_BEFORE(address) ((void)0)
#define HAPPENS_AFTER(address) ((void)0)
#endif

typedef struct {
  ptrdiff_t count;
  ck_body body;
  const void *context;
} region;

static void run_part(void *data) {
  HAPPENS_AFTER(data);
  const region *r = data;
  ptrdiff_t parts = omp_get_num_threads(), part = omp_get_thread_num();
  ptrdiff_t each = r->count / parts, more = r->count % parts;
  ptrdiff_t begin = part * each + (part < more ? part : more);
  ptrdiff_t end = begin + each + (part < more);
  if (begin < end) r->body(r->context, begin, end);
  HAPPENS_BEFORE(data);
}

void ck_parallel(int32_t threads, ptrdiff_t count, ck_body body, const void *context) {
  if (count <= 0) return;
  if (threads > count) threads = (int32_t)count;
  if (threads <= 1) {
    body(context, 0, count);
    return;
  }
  region r = {count, body, context};
  HAPPENS_BEFORE(&r);
  GOMP_parallel(run_part, &r, (unsigned)threads, 0);
  HAPPENS_AFTER(&r);
}

static void *pass(void *gate) {
  pthread_mutex_lock(gate);
  pthread_mutex_unlock(gate);
  return (void *)(intptr_t)gettid();
}

// A joined thread counts against the limit of processes until the kernel has let go of it, which is
// a moment later.
static void await_end(pid_t thread) {
  const struct timespec moment = {.tv_nsec = 20000};
  for (int tries = 0; tries < 1000 && tgkill(getpid(), thread, 0) == 0; tries++)
    nanosleep(&moment, NULL);
}

int32_t ck_startable_threads(int32_t count) {
  if (count <= 0) return 0;
  pthread_t threads[count];
  pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
  int32_t started = 0;
  pthread_mutex_lock(&gate);
  while (started < count && pthread_create(&threads[started], NULL, pass, &gate) == 0) started++;
  pthread_mutex_unlock(&gate);
  for (int32_t i = 0; i < started; i++) {
    void *thread;
    pthread_join(threads[i], &thread);
    await_end((pid_t)(intptr_t)thread);
  }
  pthread_mutex_destroy(&gate);
  return started;
}

static void note_size(void *size) {
  if (omp_get_thread_num() == 0) *(int32_t *)size = omp_get_num_threads();
}

int32_t ck_settle_team(int32_t threads) {
  omp_set_dynamic(0);
  if (threads <= 1) return 1;
  int32_t size = 1;
  GOMP_parallel(note_size, &size, (unsigned)threads, 0);
  return size;
}

int32_t ck_thread_index(void) { return omp_get_thread_num(); }

void ck_default_floating_point(void) { fesetenv(FE_DFL_ENV); }
