#pragma once
#include "engine.hpp"

/// Attention in pieces of one head and a chunk of queries, small enough that the scores stay in a
/// core's cache. Each piece is one thread's: two products by oneDNN and the softmax between them.
struct dn_attention {
  /// The two products for a chunk of some number of queries.
  struct Products {
    sparsedit::Operations scores, output;
  };
  dn_attention_shape shape;
  sparsedit::Split chunks;
  /// For full chunks, and for the last one when it is shorter.
  Products full, last;
  /// Scratch memory of one thread: the scores, the weights in the type of V, oneDNN's own.
  size_t scores_bytes, weights_bytes, own_bytes;

  size_t thread_bytes() const { return scores_bytes + weights_bytes + own_bytes; }
};
