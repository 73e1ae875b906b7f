/*
 * Damaged tokenizers: each is read or refused with a message that names the file; none may crash the
 * process or make it print.
 *
 * usage: hostile MODEL-FOLDER FILE [ROUNDS]
 *
 * FILE is a SentencePiece model (*.model) or a tokenizer.json (*.json) that is damaged. The folder's
 * other files are used as they are.
 */
#define _GNU_SOURCE
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static uint64_t state = 12;

/** SplitMix64; a number below `bound`. */
static size_t draw_below(size_t bound) {
  uint64_t value = state += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return (size_t)((value ^ (value >> 31)) % bound);
}

/** One to eight edits: a bit, a byte, a word of extremes, a run that is doubled or removed. */
static size_t damage(unsigned char *bytes, size_t size, size_t room) {
  for (size_t edits = 1 + draw_below(8); edits > 0 && size > 64; edits--) {
    size_t place = draw_below(size - 32), length = 1 + draw_below(24);
    static const uint32_t words[] = {0,           0xFFFFFFFFu, 0x7FFFFFFFu,
                                     0x80000000u, 0x7F800000u, 0xFFFFFE61u};
    switch (draw_below(6)) {
      case 0: bytes[place] ^= (unsigned char)(1u << draw_below(8)); break;
      case 1: bytes[place] = (unsigned char)draw_below(256); break;
      case 2: memcpy(bytes + place, &words[draw_below(6)], 4); break;
      case 3:
        if (size + length > room) break;
        memmove(bytes + place + length, bytes + place, size - place);
        size += length;
        break;
      case 4:
        memmove(bytes + place, bytes + place + length, size - place - length);
        size -= length;
        break;
      default: bytes[place] ^= 0x20;
    }
  }
  return size;
}

static void make_link(const char *model, const char *folder, const char *name) {
  char from[4096], to[4096];
  snprintf(from, sizeof from, "%s/%s", model, name);
  snprintf(to, sizeof to, "%s/%s", folder, name);
  if (access(from, F_OK) == 0) CHECK(symlink(from, to) == 0);
}

int main(int argc, char **argv) {
  CHECK(argc > 2);
  int rounds = argc > 3 ? atoi(argv[3]) : 400;
  char folder[] = "/tmp/sparsedit-hostile-XXXXXX", path[4096], part[4096];
  CHECK(mkdtemp(folder));
  const char *parts[] = {"model_index.json", "scheduler", "text_encoder", "transformer", "vae"};
  for (int i = 0; i < 5; i++) make_link(argv[1], folder, parts[i]);
  snprintf(part, sizeof part, "%s/tokenizer", folder);
  CHECK(mkdir(part, 0700) == 0);
  int is_json = strcmp(argv[2] + strlen(argv[2]) - 5, ".json") == 0;
  snprintf(path, sizeof path, "%s/%s", part, is_json ? "tokenizer.json" : "spiece.model");

  FILE *file = fopen(argv[2], "rb");
  CHECK(file);
  static unsigned char original[1 << 20], bytes[1 << 20];
  size_t size = fread(original, 1, sizeof original - 65536, file);
  fclose(file);

  const char prompt[] =
      "a red house \xEF\xAC\x81 \xC2\xBD e\xCC\x81 \xE6\x97\xA5 <obj> </s> \xEF\xB7\xBA";
  sparsedit_estimate_options estimate;
  sparsedit_generate_options request;
  CHECK(sparsedit_estimate_options_init(&estimate, sizeof estimate) == SPARSEDIT_OK);
  CHECK(sparsedit_generate_options_init(&request, sizeof request) == SPARSEDIT_OK);
  estimate.model_path = folder;
  request.prompt = prompt;
  request.prompt_length = sizeof prompt - 1;
  int taken = 0;
  for (int round = 0; round <= rounds; round++) {
    memcpy(bytes, original, size);
    size_t length = round == 0 ? size : damage(bytes, size, sizeof bytes);
    file = fopen(path, "wb");
    CHECK(file && fwrite(bytes, 1, length, file) == length && fclose(file) == 0);
    sparsedit_cost cost = {.struct_size = sizeof cost};
    char message[512];
    sparsedit_status status =
        sparsedit_estimate_cost(&estimate, &request, &cost, message, sizeof message);
    taken += status == SPARSEDIT_OK;
    if (status == SPARSEDIT_OK) continue;
    if (round == 0) fprintf(stderr, "%s\n", message);
    CHECK(round > 0 && (status == SPARSEDIT_INVALID_DATA || status == SPARSEDIT_UNSUPPORTED));
    CHECK(strstr(message, "tokenizer/") && !strchr(message, '\n'));
  }
  CHECK(taken > 1 && taken < rounds);
  unlink(path);
  rmdir(part);
  for (int i = 0; i < 5; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, parts[i]);
    unlink(path);
  }
  CHECK(rmdir(folder) == 0);
  printf("hostile: %d damaged tokenizers, %d of them usable\n", rounds, taken - 1);
  return 0;
}
