#include "CKernels.h"

bool ck_cpu_has_bf16(void) { return __builtin_cpu_supports("avx512bf16"); }
