#ifdef __x86_64__
#include "kernels/table.h"
#pragma clang attribute push( \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)
#define KERNEL_TABLE kernels_avx512
#include "kernels/level.h"
#pragma clang attribute pop
#endif
