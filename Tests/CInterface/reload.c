/*
 * Loads and unloads the library many times, and draws before and after.
 *
 * usage: reload LIBRARY [ROUNDS]
 */
#include <dlfcn.h>

#include "check.h"

static uint32_t version(void *library) {
  uint32_t (*function)(void);
  *(void **)&function = dlsym(library, "sparsedit_version");
  CHECK(function);
  return function();
}

int main(int argc, char **argv) {
  CHECK(argc > 1);
  int rounds = argc > 2 ? atoi(argv[2]) : 1000;
  for (int round = 0; round < rounds; round++) {
    void *library = dlopen(argv[1], round % 2 ? RTLD_LAZY | RTLD_LOCAL : RTLD_NOW | RTLD_GLOBAL);
    if (!library) fprintf(stderr, "%s\n", dlerror());
    CHECK(library && version(library) == SPARSEDIT_VERSION);
    CHECK(dlclose(library) == 0);
  }
  printf("reload: %d rounds\n", rounds);
  return 0;
}
