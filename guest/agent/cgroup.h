// The workload's control group: its limits, what it uses, and whether it ran out of memory.
#pragma once
#include "common.h"

#define CGROUP_WORKLOAD "/sys/fs/cgroup/workload"

struct cgroup_limits {
  uint32_t cpu_quota;  // microseconds of each 100000; 0: none
  uint64_t pids;       // 0: no limit
};

// At boot: makes the group, with the limit of memory, which is the machine's.
int cgroup_prepare(void);
int cgroup_set_up(const struct cgroup_limits *limits, struct failure *failure);
// A descriptor of the workload's group for clone3, or -1.
int cgroup_open(void);
bool cgroup_out_of_memory(void);
// Ends every process of the workload; waits a second at most until they are gone.
void cgroup_kill(void);
// Stops or continues every process of the workload; returns once they stand still, or after a second.
int cgroup_freeze(bool frozen);
bool cgroup_is_frozen(void);

struct cgroup_usage {
  uint64_t processes, memory, processor_nanoseconds;
};
void cgroup_usage(struct cgroup_usage *usage);
