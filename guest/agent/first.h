// The workload's first process. It is made at boot, with its name spaces and what is mounted in each of them alike,
// and waits to hear what it is to be: a copy of a template has it from the beginning.
#pragma once
#include <sys/types.h>

#include "child.h"

// Makes it, in the control group; returns its number, or -1.
pid_t first_make(int group);
// What it is told beside the plan; `alone`: it has no network.
struct first_terms {
  const char *hostname;
  bool read_only, alone;
  int root;
};
// Tells it the plan, whose descriptors it gets copies of, and the tree of its root. 0, or -1.
int first_start(const struct child_plan *plan, const struct first_terms *terms);

// In the first process: enters the root.
int first_enter(bool terminal, struct failure *failure);
