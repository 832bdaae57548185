#include "locks.h"

#include <string.h>

#include "../image.h"
#include "report.h"

struct list locks = {.size = sizeof(struct lock)};

void read_locks(FILE *info, int32_t number) {
  char line[512], owner[16], kind[16], last[24];
  rewind(info);
  while (fgets(line, sizeof line, info) != NULL) {
    struct lock lock = {.number = number, .last = EVERYTHING};
    unsigned long first, end;
    if (strncmp(line, "lock:", 5) != 0) continue;
    if (sscanf(line, "lock: %*d: %15s %*s %15s %*s %*s %lu %23s", owner, kind, &first, last) != 4 || strcmp(owner, "OFDLCK") != 0)
      fail("descriptor %d has a lock of another kind: %s", number, line);
    lock.first = first;
    lock.exclusive = strcmp(kind, "WRITE") == 0;
    if (sscanf(last, "%lu", &end) == 1) lock.last = end;
    add(&locks, &lock);
  }
}
