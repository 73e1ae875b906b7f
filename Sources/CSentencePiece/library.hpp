// The functions of libsentencepiece that are called here, found by their names in the binary.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sparsedit {

/// What a `sentencepiece::util::Status` is in memory: a pointer, null when all went well. The
/// destructor makes it a class that is returned through memory, as the real one is; it does nothing,
/// since only the library may free what the library made.
struct RawStatus {
  void *representation = nullptr;
  ~RawStatus() {}
};

/// `sentencepiece::ImmutableSentencePieceText_ImmutableSentencePiece`: a pointer that owns nothing,
/// returned in a register.
struct RawPiece {
  const void *piece;
};

/// Objects of the library live in memory that is given here, and are made and destroyed by its own
/// functions. So whatever they own comes from and goes back to one allocator, also where the library
/// and this code are bound to different ones.
struct Library {
  void (*make_processor)(void *self);
  void (*destroy_processor)(void *self);
  RawStatus (*load)(void *self, std::string_view model);
  RawStatus (*encode)(const void *self, std::string_view text, void *result);

  void (*make_text)(void *self);
  void (*destroy_text)(void *self);
  void *(*text_proto)(void *self);
  size_t (*text_size)(const void *self);
  RawPiece (*text_piece)(const void *self, int index);
  uint32_t (*piece_id)(const void *self);

  void (*destroy_status)(void *self);
  const char *(*status_message)(const void *self);

  int (*log_level)();
  void (*set_log_level)(int level);
};

/// Room for an object of the library. The largest has 88 bytes in 0.1.97; later versions of the same
/// soname may have larger ones.
struct alignas(std::max_align_t) ObjectMemory {
  unsigned char bytes[1024];
};

enum class OpenResult { opened, missing, unsupported };

/// Opens the library at the first call; the same one ever after. Any thread.
/// `message` is written where it is not `opened`.
OpenResult open_library(const Library **library, char *message, size_t capacity);

}  // namespace sparsedit
