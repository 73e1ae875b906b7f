#pragma once
#include <stddef.h>

/// One file of the model that is compiled into the program.
typedef struct {
  /// Path inside the model folder, with '/' between its parts.
  const char *path;
  /// 64-byte aligned, so that tensors in it can be used where they are.
  const void *data;
  size_t size;
} embedded_model_entry;

/// Number of files; 0 when the program was built without a model.
size_t embedded_model_file_count(void);

/// The file at an index below the count. The memory is constant and lives as long as the program.
embedded_model_entry embedded_model_file(size_t index);
