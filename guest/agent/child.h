// What happens between fork and exec.
#pragma once
#include "fields.h"

// Written by the child to a close-on-exec pipe if it fails; nothing is written if the program runs.
struct child_report {
  uint8_t result;
  char message[239];
};

struct child_plan {
  char **args, **env;
  char *cwd, *user;
  uint64_t capabilities;
  bool terminal;
  bool files;           // no program: reads or writes the workload's files, and has nothing of the above
  bool main;            // becomes PID 1 of the workload's name spaces; the others join them
  int standard[3];      // the standard streams; with a terminal all three are its other end
  int report_fd;
  struct reader fields; // the start request, for the first process to read itself
};

// Takes the plan's strings and flags out of a start request, and what concerns the agent: input, the terminal's size.
struct child_terms {
  bool has_input;
  unsigned columns, rows;
};
int child_read_plan(struct child_plan *plan, struct child_terms *terms, struct reader *fields, struct failure *failure);

// Never returns: executes the program or reports why not.
void child_run(struct child_plan *plan) __attribute__((noreturn));
