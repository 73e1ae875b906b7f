#include "library.hpp"

#include <dlfcn.h>

#include <cstdio>
#include <mutex>

namespace sparsedit {
namespace {

constexpr const char *kSoname = "libsentencepiece.so.0";
constexpr const char *kPackage = "Debian's package libsentencepiece0 has it";

/// Whether the process shows a symbol to all of its libraries, or to this one.
bool exposes(const char *symbol) { return dlsym(RTLD_DEFAULT, symbol) != nullptr; }

/// Whether the library's own symbols would be bound to those of another copy in the process:
/// it bundles protobuf 3.14, and ends the process when it meets another version.
bool is_interposed() {
  return exposes("_ZTVN6google8protobuf11MessageLiteE") ||
         exposes("_ZTVN13sentencepiece22SentencePieceProcessorE");
}

/// Whether `operator new` or `operator delete` is other than the C++ library's own: a host's, a
/// sanitizer's, or that of an allocator that was preloaded.
bool replaces_operator_new() {
  void *standard = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
  if (!standard) return true;
  bool replaced = false;
  for (const char *symbol : {"_Znwm", "_Znam", "_ZdlPv", "_ZdlPvm", "_ZdaPv"})
    replaced |= dlsym(standard, symbol) != dlsym(RTLD_DEFAULT, symbol);
  dlclose(standard);
  return replaced;
}

/// Opens the library such that it uses its own protobuf.
///
/// Usually its symbols are bound to itself because there are no others. In a host that exposes
/// protobuf, RTLD_DEEPBIND puts its own first. That also binds its `operator delete` to the C++
/// library's, which must not meet memory of a replaced `operator new`; and AddressSanitizer ends the
/// process at that flag. There it gets a namespace of its own, with a C++ and a C library in it.
/// A namespace is the last resort, since no exception can leave it: when memory runs out in there,
/// the process ends.
void *open_privately() {
  if (!is_interposed()) return dlopen(kSoname, RTLD_NOW | RTLD_LOCAL);
  if (!replaces_operator_new()) return dlopen(kSoname, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  return dlmopen(LM_ID_NEWLM, kSoname, RTLD_NOW | RTLD_LOCAL);
}

/// Sets a function from its name; false when the library has none of that name.
template <typename Function>
bool find(void *handle, const char *symbol, Function &function) {
  function = reinterpret_cast<Function>(dlsym(handle, symbol));
  return function != nullptr;
}

#define NAMESPACE "_ZN13sentencepiece"
#define CONST_METHOD "_ZNK13sentencepiece"
#define STRING_VIEW "St17basic_string_viewIcSt11char_traitsIcEE"
#define PROCESSOR "22SentencePieceProcessor"
#define TEXT "26ImmutableSentencePieceText"
#define PIECE "49ImmutableSentencePieceText_ImmutableSentencePiece"
#define STATUS "4util6Status"

/// False when a function is missing.
bool resolve(void *handle, Library &library) {
  return find(handle, NAMESPACE PROCESSOR "C1Ev", library.make_processor) &&
         find(handle, NAMESPACE PROCESSOR "D1Ev", library.destroy_processor) &&
         find(handle, NAMESPACE PROCESSOR "23LoadFromSerializedProtoE" STRING_VIEW, library.load) &&
         find(handle, CONST_METHOD PROCESSOR "6EncodeE" STRING_VIEW "PNS_17SentencePieceTextE",
              library.encode) &&
         find(handle, NAMESPACE TEXT "C1Ev", library.make_text) &&
         find(handle, NAMESPACE TEXT "D1Ev", library.destroy_text) &&
         find(handle, NAMESPACE TEXT "13mutable_protoEv", library.text_proto) &&
         find(handle, CONST_METHOD TEXT "11pieces_sizeEv", library.text_size) &&
         find(handle, CONST_METHOD TEXT "6piecesEi", library.text_piece) &&
         find(handle, CONST_METHOD PIECE "2idEv", library.piece_id) &&
         find(handle, NAMESPACE STATUS "D1Ev", library.destroy_status) &&
         find(handle, CONST_METHOD STATUS "13error_messageEv", library.status_message) &&
         find(handle, NAMESPACE "7logging14GetMinLogLevelEv", library.log_level) &&
         find(handle, NAMESPACE "7logging14SetMinLogLevelEi", library.set_log_level);
}

}  // namespace

OpenResult open_library(const Library **library, char *message, size_t capacity) {
  // What the process has loaded is the process's: once opened, the library stays, as the C library
  // keeps what was made in it. A failure is not kept, so that installing it is enough.
  static std::mutex mutex;
  static Library opened;
  static bool is_open = false;
  std::lock_guard<std::mutex> lock(mutex);
  if (!is_open) {
    void *handle = open_privately();
    if (!handle) {
      const char *reason = dlerror();
      snprintf(message, capacity, "%s cannot be opened (%s): %s", kSoname, kPackage,
               reason ? reason : "unknown reason");
      return OpenResult::missing;
    }
    if (!resolve(handle, opened)) {
      dlclose(handle);
      snprintf(message, capacity, "%s is not version 0.1.97 or a later 0.x (%s)", kSoname,
               kPackage);
      return OpenResult::unsupported;
    }
    is_open = true;
  }
  *library = &opened;
  return OpenResult::opened;
}

}  // namespace sparsedit
