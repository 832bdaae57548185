// The names in a directory.
#pragma once
#include "../agent/common.h"

struct names {
  char **list;
  size_t count, slots;
};

// Adds those in the directory of an O_PATH descriptor.
void names_read(struct names *names, int fd);
// In the order of their bytes, each once, so that the same files give the same records.
void names_sort(struct names *names);
void names_free(struct names *names);
#define cleanup_names __attribute__((cleanup(names_free)))
