#include "CDefaultModel.h"

size_t embedded_model_file_count(void) { return 0; }

embedded_model_entry embedded_model_file(size_t index) {
  (void)index;
  return (embedded_model_entry){0};
}
