#pragma once
#include "engine.hpp"

/// A convolution and the change of its weights into the order that it wants, done at each run:
/// it costs a few hundredths of the convolution, and a second copy of the weights is not kept.
struct dn_convolution {
  sparsedit::Operation pack, convolution;
  int32_t threads = 1;
  bool packs = false;
  size_t packed_bytes = 0, own_bytes = 0;
};
