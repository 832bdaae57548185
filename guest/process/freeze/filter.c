#include "filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>

#include "../image.h"
#include "process.h"
#include "report.h"

struct list filter = {.size = sizeof(struct sock_filter)};

static long filters_of(const char *path) {
  char line[256];
  long count = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) fail("%s: %s", path, strerror(errno));
  while (fgets(line, sizeof line, file) != NULL) sscanf(line, "Seccomp_filters: %ld", &count);
  fclose(file);
  return count;
}

// The kernel counts filters from the first one. Those of whoever started the jail come first, then the jail's: the next process has
// them, too. The one over them is its own.
void read_filter(void) {
  static struct sock_filter instructions[MOST_FILTER];
  char path[64];
  enum __ptrace_request get = (enum __ptrace_request)PTRACE_SECCOMP_GET_FILTER;
  snprintf(path, sizeof path, "/proc/%d/status", process_id);
  long outer = filters_of("/proc/self/status"), all = filters_of(path);
  if (all != outer + 2) fail("it has %ld filters where %ld are expected", all, outer + 2);
  long count = ptrace(get, process_id, outer + 1, NULL);
  if (count <= 0 || count > MOST_FILTER) fail("its filter: %s", strerror(errno));
  if (ptrace(get, process_id, outer + 1, instructions) != count) fail("its filter: %s", strerror(errno));
  for (long i = 0; i < count; i++) add(&filter, &instructions[i]);
}
