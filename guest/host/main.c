// hull-files: what the agent does with a workload's files, for workloads of the container wall.
//
//   hull-files NAMESPACE ROOT [UPPER [LOWER…]]
//
// NAMESPACE is a descriptor of the mount name space that ROOT is looked up in, or - for the present one. UPPER and
// LOWER (the top layer first) are looked up in the present one. See ../protocol.md, "Files", for the rest.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "../agent/protocol.h"
#include "../files/files.h"
#include "../files/stream.h"

static int open_directory(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) stop_errno("cannot open %s", path);
  return fd;
}

int main(int count, char **arguments) {
  if (count < 3) stop(FILES_FAILED, "usage: hull-files NAMESPACE ROOT [UPPER [LOWER...]]");
  signal(SIGPIPE, SIG_IGN);
  // A workload decides how many files there are, not how much memory they may take.
  const struct rlimit memory = {.rlim_cur = 1ul << 30, .rlim_max = 1ul << 30};
  setrlimit(RLIMIT_AS, &memory);
  int lowers[count];
  struct files_places places = {.own = open_directory("/proc/self/fd"), .root = arguments[2], .upper = -1, .lowers = lowers};
  if (count > 3) places.upper = open_directory(arguments[3]);
  for (int i = 4; i < count; i++) lowers[places.lower_count++] = open_directory(arguments[i]);
  if (strcmp(arguments[1], "-") != 0) {
    int name_space = atoi(arguments[1]);
    if (setns(name_space, CLONE_NEWNS) < 0) stop_errno("cannot enter the workload's mount name space");
    close(name_space);
  }
  files_run(&places);
}
