#pragma once
#include <stdbool.h>

/// Whether this CPU and its operating system run AVX-512 bf16 instructions.
bool ck_cpu_has_bf16(void);
