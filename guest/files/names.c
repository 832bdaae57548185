#include "names.h"

#include <dirent.h>
#include <fcntl.h>

#include "../agent/protocol.h"
#include "inode.h"
#include "stream.h"

static void add(struct names *names, const char *name) {
  if (names->count == names->slots) {
    names->slots = names->slots ? names->slots * 2 : 32;
    char **longer = realloc(names->list, names->slots * sizeof *longer);
    if (!longer) stop(FILES_TOO_LARGE, "a directory has too many files");
    names->list = longer;
  }
  char *copy = strdup(name);
  if (!copy) stop(FILES_TOO_LARGE, "a directory has too many files");
  names->list[names->count++] = copy;
}

void names_read(struct names *names, int fd) {
  int own = open_again(fd, O_RDONLY | O_DIRECTORY);
  DIR *directory = own < 0 ? NULL : fdopendir(own);
  if (!directory) stop_errno("cannot open a directory");
  for (struct dirent *entry; (entry = readdir(directory));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) add(names, entry->d_name);
  closedir(directory);
}

static int compare(const void *one, const void *other) { return strcmp(*(char *const *)one, *(char *const *)other); }

void names_sort(struct names *names) {
  if (names->count) qsort(names->list, names->count, sizeof *names->list, compare);
  size_t kept = 0;
  for (size_t i = 0; i < names->count; i++) {
    if (kept && strcmp(names->list[kept - 1], names->list[i]) == 0)
      free(names->list[i]);
    else
      names->list[kept++] = names->list[i];
  }
  names->count = kept;
}

void names_free(struct names *names) {
  for (size_t i = 0; i < names->count; i++) free(names->list[i]);
  free(names->list);
  *names = (struct names){0};
}
