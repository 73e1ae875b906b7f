/*
 * Hosts that a library which opens libsentencepiece could disturb: libsentencepiece has protobuf 3.14 inside,
 * and is opened when a model needs it. Each host prints the same line: token ids and a
 * picture.
 *
 *   -DWITH_PROTOBUF       linked with the system's libprotobuf, whose messages it reads before and after
 *   -DWITH_OPERATOR_NEW   has an operator new of its own, and ends when it is given other memory
 *
 * usage: neighbour [MODEL-FOLDER]
 */
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>

extern "C" {
#include "check.h"
}

#ifdef WITH_OPERATOR_NEW
/* Blocks with a mark in front of them. */
static const size_t kFront = 64;
static const uint64_t kMark = 0x5EED0FA110CA7E5Du;

void *operator new(size_t size) {
  char *block = static_cast<char *>(malloc(size + kFront));
  if (!block) throw std::bad_alloc();
  memcpy(block, &kMark, sizeof kMark);
  return block + kFront;
}

void operator delete(void *memory) noexcept {
  if (!memory) return;
  char *block = static_cast<char *>(memory) - kFront;
  uint64_t mark;
  memcpy(&mark, block, sizeof mark);
  CHECK(mark == kMark);
  memset(block, 0, sizeof mark);
  free(block);
}

void operator delete(void *memory, size_t) noexcept { operator delete(memory); }
void *operator new[](size_t size) { return operator new(size); }
void operator delete[](void *memory) noexcept { operator delete(memory); }
void operator delete[](void *memory, size_t) noexcept { operator delete(memory); }
#endif

#ifdef WITH_PROTOBUF
#include "neighbour.pb.h"

/** Writes and reads a message of the host's own. */
static void use_protobuf() {
  neighbour::Album album;
  album.set_title("a title too long to be kept inside a string object");
  for (int i = 0; i < 100; i++) {
    neighbour::Picture *picture = album.add_pictures();
    picture->set_prompt("picture " + std::to_string(i));
    picture->add_tokens(i);
  }
  (*album.mutable_places())["under a full moon"] = 3;
  neighbour::Album copy;
  CHECK(copy.ParseFromString(album.SerializeAsString()));
  CHECK(copy.pictures_size() == 100 && copy.pictures(7).tokens(0) == 7);
  CHECK(copy.places().at("under a full moon") == 3);
  CHECK(copy.DebugString() == album.DebugString());
  CHECK(!copy.ParseFromString("\xFF\xFF\xFF"));
}
#else
static void use_protobuf() {}
#endif

static void print_ids(sparsedit_pipeline *pipeline, const std::string &prompt) {
  int32_t ids[64], mask[64];
  size_t needed = 0;
  CHECK_STATUS(
      pipeline, SPARSEDIT_OK,
      sparsedit_tokenize(pipeline, prompt.data(), prompt.size(), 64, ids, mask, 64, &needed));
  for (int i = 0; i < 64 && mask[i]; i++) printf("%d ", ids[i]);
}

int main(int argc, char **argv) {
  use_protobuf();
  sparsedit_pipeline *pipeline = open_pipeline(argc, argv, 1);
  print_ids(pipeline,
            "A red house under a full moon, \xEF\xB7\xBA \xE2\x91\xA0 \xE6\x97\xA5\xE6\x9C\xAC");
  use_protobuf();
  std::thread other([&] { sparsedit_pipeline_destroy(open_pipeline(argc, argv, 1)); });
  other.join();
  print_ids(pipeline, std::string(3000, 'a'));
  sparsedit_generate_options request = small_request(2, 5);
  printf("%016llx\n", (unsigned long long)draw(pipeline, &request));
  sparsedit_pipeline_destroy(pipeline);
  use_protobuf();
#ifdef WITH_PROTOBUF
  google::protobuf::ShutdownProtobufLibrary();
#endif
  return 0;
}
