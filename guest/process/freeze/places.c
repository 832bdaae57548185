#include "places.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../image.h"
#include "process.h"
#include "report.h"

// Whatever the process has made of itself, looking at it ends: mappings, address space of one of them.
#define MOST_PLACES 8192
#define MOST_SPACE (64UL << 30)
// Of all anonymous memory together.
#define MOST_ANONYMOUS (16UL << 30)

struct list places = {.size = sizeof(struct place)}, files = {.size = sizeof(struct file)};

static uint32_t file_of(const char *path) {
  for (size_t i = 0; i < files.count; i++)
    if (strcmp(((struct file *)files.items)[i].path, path) == 0) return (uint32_t)i;
  struct file file = {};
  struct stat status;
  char inside[320];
  if (strlen(path) >= sizeof file.path) fail("%s is too long a path", path);
  strcpy(file.path, path);
  snprintf(inside, sizeof inside, "/proc/%d/root%s", process_id, file.path);
  if (stat(inside, &status) < 0) fail("%s: %s", path, strerror(errno));
  file.inode = status.st_ino;
  file.size = (uint64_t)status.st_size;
  file.seconds = (uint64_t)status.st_mtim.tv_sec;
  file.nanoseconds = (uint64_t)status.st_mtim.tv_nsec;
  add(&files, &file);
  return (uint32_t)files.count - 1;
}

bool is_guest_memory(const char *path, unsigned long inode) {
  char name[64];
  struct stat status;
  snprintf(name, sizeof name, "/proc/%d/fd/%u", process_id, guest_memory);
  return strncmp(path, "/memfd:", 7) == 0 && stat(name, &status) == 0 && status.st_ino == inode;
}

void read_places(void) {
  char line[4400];
  FILE *file = open_proc("smaps");
  struct place *place = NULL;
  unsigned long anonymous = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    unsigned long start, end, offset, inode;
    char mode[5], path[4200] = "";
    if (sscanf(line, "%lx-%lx %4s %lx %*x:%*x %lu %4199[^\n]", &start, &end, mode, &offset, &inode, path) < 5) {
      if (place != NULL && strncmp(line, "VmFlags:", 8) == 0) place->huge = strstr(line, " hg") != NULL;
      continue;
    }
    if (strcmp(path, "[vsyscall]") == 0) {
      place = NULL;
      continue;
    }
    struct place found = {.start = start, .end = end, .offset = offset};
    found.protection = (mode[0] == 'r' ? PROT_READ : 0) | (mode[1] == 'w' ? PROT_WRITE : 0) | (mode[2] == 'x' ? PROT_EXEC : 0);
    if (places.count == MOST_PLACES || end - start > MOST_SPACE) fail("it has too much memory at %lx", start);
    if (start < THAW_END && end > THAW_START) fail("it has a mapping at %lx", start);
    if (strncmp(path, "[v", 2) == 0) {
      found.kind = PLACE_KERNEL;
    } else if (inode != 0 && is_guest_memory(path, inode)) {
      if (mode[3] != 's') fail("it has the guest's memory for itself");
      found.kind = PLACE_MEMORY;
    } else if (inode != 0) {
      if (mode[3] != 'p') fail("%s is shared", path);
      found.kind = PLACE_FILE;
      found.file = file_of(path);
    } else {
      if (mode[3] != 'p') fail("memory at %lx is shared", start);
      if (found.protection != 0 && (anonymous += end - start) > MOST_ANONYMOUS) fail("it has too much memory at %lx", start);
      found.kind = PLACE_ANONYMOUS;
      found.grows = strcmp(path, "[stack]") == 0;
    }
    place = add(&places, &found);
  }
  fclose(file);
}
