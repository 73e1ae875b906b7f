#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <new>

#include "CSentencePiece.h"
#include "library.hpp"

using sparsedit::Library;
using sparsedit::ObjectMemory;

struct sp_processor {
  const Library *library;
  ObjectMemory object;
};

namespace {

/// Calls the library's destructor at the end of a scope.
struct Destroyer {
  void (*destroy)(void *);
  void *object;
  ~Destroyer() {
    if (object) destroy(object);
  }
};

/// Keeps the library from writing to stderr while a model is loaded, which is when it logs.
/// Its level is the process's, which may use the library as well: so it is put back. One model is
/// loaded at a time, or a second thread would put back the first one's silence.
class Silence {
 public:
  explicit Silence(const Library &library)
      : lock(mutex), library(library), level(library.log_level()) {
    library.set_log_level(kFatal);
  }
  ~Silence() { library.set_log_level(level); }

 private:
  static constexpr int kFatal = 3;
  static inline std::mutex mutex;
  const std::lock_guard<std::mutex> lock;
  const Library &library;
  const int level;
};

/// Runs `body`, which returns a status, and turns an exception into one.
template <typename Body>
sp_status guarded(char *message, size_t capacity, Body body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc &) {
    snprintf(message, capacity, "out of memory in libsentencepiece");
    return sp_out_of_memory;
  } catch (const std::exception &error) {
    snprintf(message, capacity, "libsentencepiece: %s", error.what());
    return sp_failed;
  } catch (...) {
    snprintf(message, capacity, "libsentencepiece failed");
    return sp_failed;
  }
}

/// Whether a call went well; takes the status over and writes its message.
sp_status take(const Library &library, sparsedit::RawStatus &status, char *message,
               size_t capacity) {
  Destroyer guard{library.destroy_status, &status};
  if (!status.representation) return sp_ok;
  snprintf(message, capacity, "libsentencepiece: %s", library.status_message(&status));
  return sp_failed;
}

}  // namespace

extern "C" sp_status sp_processor_create(const void *model, size_t size, sp_processor **processor,
                                         char *message, size_t capacity) {
  return guarded(message, capacity, [&] {
    const Library *library = nullptr;
    switch (sparsedit::open_library(&library, message, capacity)) {
      case sparsedit::OpenResult::opened: break;
      case sparsedit::OpenResult::missing: return sp_missing;
      case sparsedit::OpenResult::unsupported: return sp_unsupported;
    }
    auto made = std::make_unique<sp_processor>();
    made->library = library;
    library->make_processor(&made->object);
    Destroyer guard{library->destroy_processor, &made->object};
    Silence silence(*library);
    auto status = library->load(&made->object, {static_cast<const char *>(model), size});
    sp_status result = take(*library, status, message, capacity);
    if (result == sp_ok) {
      guard.object = nullptr;
      *processor = made.release();
    }
    return result;
  });
}

extern "C" void sp_processor_destroy(sp_processor *processor) {
  if (!processor) return;
  processor->library->destroy_processor(&processor->object);
  delete processor;
}

extern "C" sp_status sp_encode(const sp_processor *processor, const char *text, size_t size,
                               int32_t *ids, size_t ids_capacity, size_t *count, char *message,
                               size_t capacity) {
  return guarded(message, capacity, [&] {
    const Library &library = *processor->library;
    ObjectMemory result{};
    library.make_text(&result);
    Destroyer guard{library.destroy_text, &result};
    auto status = library.encode(&processor->object, {text, size}, library.text_proto(&result));
    sp_status outcome = take(library, status, message, capacity);
    if (outcome != sp_ok) return outcome;
    *count = library.text_size(&result);
    for (size_t index = 0; index < std::min(*count, ids_capacity); index++) {
      auto piece = library.text_piece(&result, static_cast<int>(index));
      ids[index] = static_cast<int32_t>(library.piece_id(&piece));
    }
    return sp_ok;
  });
}
