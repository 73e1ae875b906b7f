#include <fenv.h>

#include "CKernels.h"

// Of libgomp: what GCC turns `#pragma omp parallel` into. Clang's own pragma would want libomp.
extern void GOMP_parallel(
  void (*body)(void *), void *data, unsigned threads, unsigned flags);
extern int omp_get_thread_num(void);
extern int omp_get_num_threads(void);

typedef struct {
  ptrdiff_t count;
  ck_body body;
  const void *context;
} region;

static void run_part(void *data) {
  const region *r = data;
  ptrdiff_t parts = omp_get_num_threads(), part = omp_get_thread_num();
  ptrdiff_t each = r->count / parts, more = r->count % parts;
  ptrdiff_t begin = part * each + (part < more ? part : more);
  ptrdiff_t end = begin + each + (part < more);
  if (begin < end) r->body(r->context, begin, end);
}

void ck_parallel(int32_t threads, ptrdiff_t count, ck_body body, const void *context) {
  if (count <= 0) return;
  if (threads > count) threads = (int32_t)count;
  if (threads <= 1) {
    body(context, 0, count);
    return;
  }
  region r = {count, body, context};
  GOMP_parallel(run_part, &r, (unsigned)threads, 0);
}

int32_t ck_thread_index(void) { return omp_get_thread_num(); }

void ck_default_floating_point(void) { fesetenv(FE_DFL_ENV); }
