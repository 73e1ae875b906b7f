#ifdef __x86_64__
#include "kernels/table.h"
#pragma clang attribute push( \
  __attribute__((target("avx2,fma,f16c"))), apply_to = function)
// The 64-byte vectors never leave this file.
#pragma clang diagnostic ignored "-Wpsabi"
#define KERNEL_TABLE kernels_avx2
#include "kernels/level.h"
#pragma clang attribute pop
#endif
