#pragma once
#include "engine.hpp"

/// How weights get into the order that products read fastest: by blocks of columns.
struct dn_pack {
  dn_pack_shape shape;
  sparsedit::Split columns;
  sparsedit::Operations full, last;
  /// 0 where products gain nothing by it.
  size_t bytes;
};
