#include "kernels/table.h"
// The 64-byte vectors never leave this file.
#pragma clang diagnostic ignored "-Wpsabi"
#define KERNEL_TABLE kernels_baseline
#include "kernels/level.h"
