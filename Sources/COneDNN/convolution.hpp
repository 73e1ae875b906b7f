#pragma once
#include "engine.hpp"

/// A convolution cut into bands of rows, each computed by one thread, and the change of its weights
/// into the order that it wants, done at each run: it costs a few hundredths of the convolution, and
/// a second copy of the weights is not kept.
///
/// A band reads the rows that it covers and those beside it. Where some of these lie outside of the
/// picture, the band is copied into scratch memory with rows of zeros, so that one primitive without
/// vertical padding serves them all.
struct dn_convolution {
  dn_convolution_shape shape;
  int64_t out_height, out_width;
  sparsedit::Split bands;
  int32_t threads;
  sparsedit::Operations full, last;
  /// For blocks of output channels; empty where the weights are in order as they are.
  sparsedit::Operations pack_full, pack_last;
  sparsedit::Split channels;
  std::vector<size_t> packed_offsets;
  /// Scratch memory: the weights in order; copies of the first and the last band of each picture; and
  /// oneDNN's own, for each thread.
  size_t packed_bytes = 0, band_bytes = 0, own_bytes = 0;

  bool packs() const { return packed_bytes > 0; }
  /// Bands of a picture that may have to be copied.
  int64_t copies() const { return std::min<int64_t>(bands.count, 2); }
};
