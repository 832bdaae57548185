#include "disks.h"

#include <dirent.h>

int disks_find(const char *serial, char *device, size_t size) {
  DIR *directory = opendir("/sys/block");
  if (!directory) return -1;
  int found = -1;
  for (struct dirent *entry; found < 0 && (entry = readdir(directory));) {
    char path[300], line[64] = "";
    if (strncmp(entry->d_name, "vd", 2) != 0) continue;
    snprintf(path, sizeof path, "/sys/block/%s/serial", entry->d_name);
    cleanup_file FILE *file = fopen(path, "re");
    if (!file || !fgets(line, sizeof line, file)) continue;
    line[strcspn(line, "\n")] = 0;
    if (strcmp(line, serial) == 0) found = snprintf(device, size, "/dev/%s", entry->d_name) > 0 ? 0 : -1;
  }
  closedir(directory);
  if (found < 0) errno = ENODEV;
  return found;
}
