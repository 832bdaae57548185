#include "cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "files.h"

#define GROUP CGROUP_WORKLOAD

// Bytes of the machine's memory that the workload cannot have, so that it is what runs out, not the agent.
static const uint64_t memory_reserve = 12 * 1024 * 1024;

// What /proc/meminfo calls MemAvailable: the most that can be given to the workload.
static uint64_t memory_available(void) {
  cleanup_file FILE *file = fopen("/proc/meminfo", "re");
  char line[128];
  unsigned long long kilobytes = 0;
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "MemAvailable: %llu", &kilobytes) == 1) break;
  return kilobytes * 1024;
}

static uint64_t value_of(const char *path, const char *key) {
  cleanup_file FILE *file = fopen(path, "re");
  char line[128];
  size_t length = strlen(key);
  while (file && fgets(line, sizeof line, file)) {
    if (!length) return strtoull(line, NULL, 10);
    if (strncmp(line, key, length) == 0 && line[length] == ' ') return strtoull(line + length, NULL, 10);
  }
  return 0;
}

int cgroup_prepare(void) {
  if (write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory +pids +cpu") < 0) return -1;
  if (mkdir(GROUP, 0755) < 0) return -1;
  uint64_t available = memory_available();
  if (available <= memory_reserve * 2) return 0;
  char value[64];
  snprintf(value, sizeof value, "%llu", (unsigned long long)(available - memory_reserve));
  return write_file(GROUP "/memory.max", value);
}

int cgroup_set_up(const struct cgroup_limits *limits, struct failure *failure) {
  char value[64];
  if (limits->cpu_quota) {
    snprintf(value, sizeof value, "%u 100000", limits->cpu_quota);
    if (write_file(GROUP "/cpu.max", value) < 0) return fail_errno(failure, "cannot limit processor time");
  }
  if (limits->pids) {
    snprintf(value, sizeof value, "%llu", (unsigned long long)limits->pids);
    if (write_file(GROUP "/pids.max", value) < 0) return fail_errno(failure, "cannot limit processes");
  }
  return 0;
}

int cgroup_open(void) { return open(GROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC); }

bool cgroup_out_of_memory(void) {
  return value_of(GROUP "/memory.events", "oom_kill") > 0;
}

bool cgroup_is_frozen(void) { return value_of(GROUP "/cgroup.events", "frozen") != 0; }

void cgroup_kill(void) {
  write_file(GROUP "/cgroup.kill", "1");
  for (int tries = 0; tries < 200 && value_of(GROUP "/cgroup.events", "populated"); tries++) usleep(5000);
}

int cgroup_freeze(bool frozen) {
  if (write_file(GROUP "/cgroup.freeze", frozen ? "1" : "0") < 0) return -1;
  for (int tries = 0; tries < 200 && value_of(GROUP "/cgroup.events", "frozen") != frozen; tries++) usleep(5000);
  return 0;
}

void cgroup_usage(struct cgroup_usage *usage) {
  usage->processes = value_of(GROUP "/pids.current", "");
  usage->memory = value_of(GROUP "/memory.current", "");
  usage->processor_nanoseconds = value_of(GROUP "/cpu.stat", "usage_usec") * 1000;
}
