#pragma once
#include "engine.hpp"

/// A product cut into blocks of rows and columns, each computed by one thread.
struct dn_linear {
  dn_linear_shape shape;
  sparsedit::Split rows, columns;
  /// Whether oneDNN writes the result, and applies gate, factor and residual; otherwise it makes dense
  /// f32 blocks, which our own kernel finishes.
  bool fused;
  /// Whether our own kernel applies the activation, also to a block that is written in place.
  bool activates;
  int32_t threads;
  /// By whether the block is the last one of rows, and of columns.
  sparsedit::Operations products[2][2];
  /// Scratch memory of one thread: which column block's weights it has expanded, those weights, the
  /// product before gate, factor and residual, oneDNN's own.
  size_t panel_bytes = 0, product_bytes = 0, own_bytes = 0;

  static constexpr size_t header_bytes = 64;

  bool expands() const { return shape.weight_type != shape.input_type; }
  size_t thread_bytes() const { return header_bytes + panel_bytes + product_bytes + own_bytes; }
};
