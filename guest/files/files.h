// Reading and writing a workload's files: one process for each operation, the same code in the guest and on the host.
// What comes in and goes out is records (../protocol.md, "Files").
#pragma once
#include "../agent/common.h"

// Where the workload's files are. Descriptors and paths are the caller's; -1 or NULL for what there is not.
struct files_places {
  int own;               // /proc/self/fd, from the time when there was a /proc
  const char *root;      // path of the root file system in the present mount name space
  int upper;             // directory of what was changed
  const int *lowers;     // directories of the image's layers, the top one first
  size_t lower_count;
  bool durable;          // what was written is on the disk when the process ends
};

// Reads the request from standard input, carries it out, and ends the process: with a result of the protocol, and for
// all but RESULT 0 a sentence on standard error.
void files_run(const struct files_places *places) __attribute__((noreturn));
