#define _GNU_SOURCE
#include <sys/mman.h>

#include "CKernels.h"

bool ck_can_map(size_t bytes) {
  void *memory = mmap(
    NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  munmap(memory, bytes);
  return true;
}
