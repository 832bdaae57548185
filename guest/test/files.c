// hull-files without its limit of memory, which the sanitizers' own needs are over: `files ROOT UPPER LOWER…`. Built with
// sanitizers by src/wall/files/hostile.test.ts.
#include <fcntl.h>
#include <signal.h>

#include "../files/files.h"

int main(int count, char **arguments) {
  int lowers[count];
  if (count < 3) return 2;
  signal(SIGPIPE, SIG_IGN);
  struct files_places places = {.own = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC),
                                .root = arguments[1],
                                .upper = open(arguments[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                .lowers = lowers};
  for (int i = 3; i < count; i++) lowers[places.lower_count++] = open(arguments[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  files_run(&places);
}
