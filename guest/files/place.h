// Writing: entries are put below a directory of the present root.
#pragma once
#include "../agent/common.h"

struct place_options {
  bool keep_kind;   // refuses to put a directory in the place of something else, and the other way round
  bool give_owner;  // everything gets the owner below, whatever the entries say
  uint32_t uid, gid;
};

// Takes entries from standard input until their end.
void place_entries(const char *path, const struct place_options *options);
