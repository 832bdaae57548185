#include "descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../image.h"
#include "locks.h"
#include "places.h"
#include "process.h"
#include "report.h"
#include "taps.h"

struct list descriptors = {.size = sizeof(struct descriptor)}, watches = {.size = sizeof(struct watch)};

static void read_watches(FILE *info, int32_t poll) {
  char line[512];
  rewind(info);
  while (fgets(line, sizeof line, info) != NULL) {
    struct watch watch = {.poll = poll};
    unsigned long long data;
    if (sscanf(line, "tfd: %d events: %x data: %llx", &watch.number, &watch.events, &data) != 3) continue;
    watch.data = data;
    add(&watches, &watch);
  }
}

static void read_descriptor(int32_t number) {
  char name[64], path[4200], line[512];
  struct descriptor descriptor = {.number = number};
  unsigned flags = 0;
  unsigned long long count = 0, mask = 0, position = 0;
  if (number >= HIGH_DESCRIPTOR) fail("descriptor %d has too high a number", number);
  snprintf(name, sizeof name, "/proc/%d/fd/%d", process_id, number);
  ssize_t length = readlink(name, path, sizeof path - 1);
  if (length < 0) fail("descriptor %d: %s", number, strerror(errno));
  path[length] = 0;
  snprintf(name, sizeof name, "fdinfo/%d", number);
  FILE *info = open_proc(name);
  while (fgets(line, sizeof line, info) != NULL) {
    sscanf(line, "flags: %o", &flags);
    sscanf(line, "pos: %llu", &position);
    sscanf(line, "eventfd-count: %llx", &count);
    sscanf(line, "sigmask: %llx", &mask);
  }
  descriptor.flags = flags;
  descriptor.value = position;
  if (number <= (int32_t)guest_memory) {
    descriptor.kind = OPEN_INHERITED;
  } else if (strcmp(path, "anon_inode:[eventfd]") == 0) {
    descriptor.kind = OPEN_EVENTS;
    descriptor.value = count;
  } else if (strcmp(path, "anon_inode:[signalfd]") == 0) {
    descriptor.kind = OPEN_SIGNALS;
    descriptor.value = mask;
  } else if (strcmp(path, "anon_inode:[eventpoll]") == 0) {
    descriptor.kind = OPEN_POLL;
    read_watches(info, number);
  } else if (strcmp(path, "/dev/net/tun") == 0) {
    read_tap(&descriptor);
  } else if (strncmp(path, "/memfd:", 7) == 0) {
    struct stat status;
    snprintf(name, sizeof name, "/proc/%d/fd/%d", process_id, number);
    if (stat(name, &status) < 0 || !is_guest_memory(path, status.st_ino)) fail("descriptor %d is %s", number, path);
    descriptor.kind = OPEN_MEMORY;
  } else if (path[0] == '/' && (size_t)length < sizeof descriptor.path) {
    descriptor.kind = OPEN_PATH;
    strcpy(descriptor.path, path);
    read_locks(info, number);
  } else if (strncmp(path, "socket:", 7) == 0) {
    // A connection that its other end has closed is there until QEMU has seen it.
    fail_for_now("descriptor %d is %s", number, path);
  } else {
    fail("descriptor %d is %s", number, path);
  }
  fclose(info);
  add(&descriptors, &descriptor);
}

static int by_number(const void *one, const void *other) {
  return ((const struct descriptor *)one)->number - ((const struct descriptor *)other)->number;
}

void read_descriptors(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd", process_id);
  DIR *directory = opendir(path);
  if (directory == NULL) fail("%s: %s", path, strerror(errno));
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
    if (entry->d_name[0] != '.') {
      if (descriptors.count == MOST_DESCRIPTORS) fail("it has more than %d descriptors", MOST_DESCRIPTORS);
      read_descriptor(atoi(entry->d_name));
    }
  closedir(directory);
  qsort(descriptors.items, descriptors.count, sizeof(struct descriptor), by_number);
}
