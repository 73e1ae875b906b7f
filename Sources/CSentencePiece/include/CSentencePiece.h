// libsentencepiece behind a few flat functions.
//
// The library is opened at the first model that needs it, privately, and stays for the life of the
// process: see library.cpp. No C++ exception, log line or C++ object passes.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  sp_ok,
  /// The library is not installed.
  sp_missing,
  /// The library that was found is not one that is known here.
  sp_unsupported,
  sp_out_of_memory,
  /// The library refused; the message says why.
  sp_failed
} sp_status;

/// A loaded model. Immutable: several threads may encode with it.
typedef struct sp_processor sp_processor;

/// Loads a serialized ModelProto.
///
/// The library believes what it reads: an offset in the normalizer's table may lead it out of the
/// table, and a wrong piece to an abort. `model` must have been checked, and built by the caller.
/// `message` (of `capacity` bytes) is written where the result is not sp_ok.
sp_status sp_processor_create(const void *model, size_t size, sp_processor **processor,
                              char *message, size_t capacity);
void sp_processor_destroy(sp_processor *processor);

/// The ids of a text, which must be valid UTF-8. Writes the first `ids_capacity` of them and says in
/// `count` how many there are.
sp_status sp_encode(const sp_processor *processor, const char *text, size_t size, int32_t *ids,
                    size_t ids_capacity, size_t *count, char *message, size_t capacity);

#ifdef __cplusplus
}
#endif
