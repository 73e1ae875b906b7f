// A team of threads: one caller, and workers of its own that wait for the caller's work.
//
// Work is items 0 ..< count, handed out from a shared counter: a core that is slow, or busy with
// something else, takes fewer items and nobody waits for its share. A worker that wakes up too late
// finds the work closed and goes back to sleep; the caller waits only for those who took items.
#define _GNU_SOURCE
#include <errno.h>
#include <fenv.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "CKernels.h"

// The gate through which workers enter a piece of work, in one atomic word: how many are inside, its
// state, and above those the number of the work, so that nobody enters the next one by mistake.
enum {
  gate_inside = 0xffff,
  gate_open = 1 << 16,
  /// The caller sleeps until the last worker has left.
  gate_awaited = 1 << 17,
};
#define GATE_NEXT (UINT64_C(1) << 32)

/// How long a thread looks for work, or for the end of it, before it sleeps: longer than the gaps
/// between the operations of a model, and short enough not to be missed by other programs.
enum { spin_nanoseconds = 30000 };

enum { worker_stack_bytes = 1 << 20, cache_line = 64 };

struct ck_crew {
  // Written by the caller before it opens the gate, read by workers that have entered it.
  ck_body body;
  const void *context;
  ptrdiff_t count;

  _Alignas(cache_line) _Atomic ptrdiff_t next;
  _Alignas(cache_line) _Atomic uint64_t gate;
  /// Workers that may be inside at a time.
  _Atomic int32_t most_inside;
  /// Counts up to wake workers, and how many of them sleep or are about to.
  _Alignas(cache_line) _Atomic uint32_t signal;
  _Atomic int32_t sleepers;
  _Atomic bool stopping;

  bool (*on_start)(void);
  int32_t workers;
  _Atomic int32_t begun;
  /// Workers that have called `on_start`, and how many of them it told that they cannot work.
  _Atomic uint32_t started;
  _Atomic int32_t refused;
  pthread_t threads[];
};

static void futex(_Atomic uint32_t *word, int operation, uint32_t value) {
  syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/// The half of the gate that changes while one work is under way: its address, to sleep on.
static _Atomic uint32_t *gate_word(ck_crew *crew) { return (_Atomic uint32_t *)&crew->gate; }

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void pause_briefly(void) {
#ifdef __x86_64__
  for (int i = 0; i < 8; i++) __builtin_ia32_pause();
#endif
}

static void work(ck_crew *crew, int32_t thread) {
  for (;;) {
    ptrdiff_t item = atomic_fetch_add_explicit(&crew->next, 1, memory_order_relaxed);
    if (item >= crew->count) return;
    crew->body(crew->context, item, item + 1, thread);
  }
}

// MARK: Workers

/// Enters work that this worker has not seen yet; false when there is none. Work with as many workers
/// as it wants counts as seen.
static bool enter(ck_crew *crew, uint32_t *seen) {
  uint64_t gate = atomic_load(&crew->gate);
  while ((gate & gate_open) && (uint32_t)(gate >> 32) != *seen) {
    // Should this number belong to the work after, the exchange fails.
    bool isFull = (int32_t)(gate & gate_inside) >= atomic_load(&crew->most_inside);
    if (isFull ? gate == atomic_load(&crew->gate)
               : atomic_compare_exchange_weak(&crew->gate, &gate, gate + 1)) {
      *seen = (uint32_t)(gate >> 32);
      return !isFull;
    }
    if (isFull) gate = atomic_load(&crew->gate);
  }
  return false;
}

static void leave(ck_crew *crew) {
  uint64_t gate = atomic_fetch_sub(&crew->gate, 1) - 1;
  if ((gate & gate_inside) == 0 && (gate & gate_awaited)) futex(gate_word(crew), FUTEX_WAKE, 1);
}

/// Sleeps until there may be something new. Announced before the last look at the gate, so that a
/// caller who opens it after that look sees somebody to wake.
static void sleep_until_signal(ck_crew *crew, uint32_t seen) {
  atomic_fetch_add(&crew->sleepers, 1);
  uint32_t signal = atomic_load(&crew->signal);
  uint64_t gate = atomic_load(&crew->gate);
  bool isNew = (gate & gate_open) && (uint32_t)(gate >> 32) != seen;
  if (!isNew && !atomic_load(&crew->stopping)) futex(&crew->signal, FUTEX_WAIT, signal);
  atomic_fetch_sub(&crew->sleepers, 1);
}

static void *live(void *data) {
  ck_crew *crew = data;
  int32_t thread = 1 + atomic_fetch_add(&crew->begun, 1);
  char name[16];
  snprintf(name, sizeof name, "sparsedit-%d", (int)thread);
  ck_name_thread(name);
  ck_default_floating_point();
  if (crew->on_start && !crew->on_start()) atomic_fetch_add(&crew->refused, 1);
  atomic_fetch_add(&crew->started, 1);
  futex(&crew->started, FUTEX_WAKE, 1);
  uint32_t seen = 0;
  int64_t idle_since = nanoseconds();
  while (!atomic_load(&crew->stopping)) {
    if (enter(crew, &seen)) {
      work(crew, thread);
      leave(crew);
      idle_since = nanoseconds();
    } else if (nanoseconds() - idle_since < spin_nanoseconds) {
      pause_briefly();
    } else {
      sleep_until_signal(crew, seen);
      idle_since = nanoseconds();
    }
  }
  return NULL;
}

// MARK: The caller

static void wake(ck_crew *crew, int32_t wanted) {
  if (atomic_load(&crew->sleepers) == 0) return;
  atomic_fetch_add(&crew->signal, 1);
  futex(&crew->signal, FUTEX_WAKE, (uint32_t)wanted);
}

/// Closes the gate and waits for those inside.
static void close_gate(ck_crew *crew) {
  uint64_t gate = atomic_fetch_and(&crew->gate, ~(uint64_t)gate_open) & ~(uint64_t)gate_open;
  int64_t since = nanoseconds();
  while (gate & gate_inside) {
    if (nanoseconds() - since < spin_nanoseconds) {
      pause_briefly();
    } else if ((gate & gate_awaited) || atomic_compare_exchange_strong(
                 &crew->gate, &gate, gate | gate_awaited)) {
      futex(gate_word(crew), FUTEX_WAIT, (uint32_t)gate | gate_awaited);
    }
    gate = atomic_load(&crew->gate);
  }
}

void ck_parallel(
  ck_team team, int32_t most, ptrdiff_t count, ck_body body, const void *context
) {
  if (count <= 0) return;
  if (most > team.threads) most = team.threads;
  if (most > count) most = (int32_t)count;
  ck_crew *crew = team.crew;
  if (most <= 1 || !crew) {
    for (ptrdiff_t item = 0; item < count; item++) body(context, item, item + 1, 0);
    return;
  }
  crew->body = body;
  crew->context = context;
  crew->count = count;
  atomic_store_explicit(&crew->most_inside, most - 1, memory_order_relaxed);
  atomic_store_explicit(&crew->next, 0, memory_order_relaxed);
  uint64_t gate = atomic_load_explicit(&crew->gate, memory_order_relaxed);
  atomic_store(&crew->gate, ((gate >> 32) + 1) * GATE_NEXT | gate_open);
  wake(crew, most - 1);
  work(crew, 0);
  close_gate(crew);
}

// MARK: Start and end

static void stop(ck_crew *crew) {
  atomic_store(&crew->stopping, true);
  atomic_fetch_add(&crew->signal, 1);
  futex(&crew->signal, FUTEX_WAKE, INT_MAX);
  for (int32_t i = 0; i < crew->workers; i++) pthread_join(crew->threads[i], NULL);
  free(crew);
}

/// Starts workers until all run or the system refuses one; its reason, or 0.
static int start_workers(ck_crew *crew, int32_t count) {
  pthread_attr_t attributes;
  int status = pthread_attr_init(&attributes);
  if (status) return status;
  pthread_attr_setstacksize(&attributes, worker_stack_bytes);
  // A new thread inherits the mask: the host's handlers run on the host's threads.
  sigset_t all, previous;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &previous);
  while (crew->workers < count && status == 0) {
    status = pthread_create(&crew->threads[crew->workers], &attributes, live, crew);
    if (status == 0) crew->workers++;
  }
  pthread_sigmask(SIG_SETMASK, &previous, NULL);
  pthread_attr_destroy(&attributes);
  return status;
}

/// Waits until all workers have started: 0, or ENOMEM when one of them cannot work.
static int await_workers(ck_crew *crew) {
  uint32_t started;
  while ((started = atomic_load(&crew->started)) < (uint32_t)crew->workers)
    futex(&crew->started, FUTEX_WAIT, started);
  return atomic_load(&crew->refused) ? ENOMEM : 0;
}

int ck_team_start(int32_t threads, ck_level level, bool (*on_start)(void), ck_team *team) {
  *team = (ck_team){1, level, NULL};
  if (threads <= 1) return 0;
  size_t size = sizeof(ck_crew) + (size_t)(threads - 1) * sizeof(pthread_t);
  ck_crew *crew = NULL;
  if (posix_memalign((void **)&crew, cache_line, size)) return ENOMEM;
  *crew = (ck_crew){.on_start = on_start};
  int status = start_workers(crew, threads - 1);
  int unable = await_workers(crew);
  if (status == 0) status = unable;
  if (status) {
    team->threads = 1 + crew->workers - atomic_load(&crew->refused);
    stop(crew);
    return status;
  }
  *team = (ck_team){threads, level, crew};
  return 0;
}

void ck_team_end(ck_team team) {
  if (team.crew) stop(team.crew);
}

void ck_default_floating_point(void) { fesetenv(FE_DFL_ENV); }

void ck_name_thread(const char *name) { prctl(PR_SET_NAME, name); }
