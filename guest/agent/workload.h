// The workload's root file system and name spaces.
#pragma once
#include <sys/types.h>

#include "child.h"
#include "fields.h"

// The end of the first phase: everything that a workload needs and no image decides.
int workload_prepare(void);
// In a process that rehearses: another first process, in the group that is there now.
int workload_make_first(void);
// Ahead of the second phase: makes the root of an image, for a workload that is new.
int workload_prepare_root(struct reader *fields, struct failure *failure);
// The second phase: what a set-up request says about the image.
int workload_set_up(struct reader *fields, struct failure *failure);
bool workload_ready(void);
// Has the first process go on as the workload's main one; returns its number, or -1.
pid_t workload_start_first(const struct child_plan *plan);
// Starts a process like fork, in the first one's PID name space.
pid_t workload_clone(void);
int workload_open_terminal(void);
// The number that the process has behind the wall.
uint32_t workload_inner_pid(pid_t pid);
// The image's root, for looking up files.
int workload_root(void);

// In the child: enters the workload's name spaces and root.
int workload_join(struct failure *failure);
// In the child: reads or writes files as its standard input says; never returns.
void workload_serve_files(void) __attribute__((noreturn));

// Sets the time: nanoseconds since the epoch.
int workload_set_clock(uint64_t now);
// Makes the kernel's random numbers others than they would have been.
int workload_seed(const char *seed, size_t length);
// Gives a machine id that is there another value.
int workload_new_machine_id(struct failure *failure);

// Writes everything back and lets go of the disks.
void workload_take_down(void);
