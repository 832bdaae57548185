#include "disks.h"

#include <dirent.h>

#include "files.h"

enum { serial_size = 24, device_size = 48 };

static struct disk {
  char serial[serial_size], device[device_size];
} *disks;
static size_t count;

static void add(const char *name) {
  char path[300], line[64] = "";
  snprintf(path, sizeof path, "/sys/block/%s/serial", name);
  cleanup_file FILE *file = fopen(path, "re");
  if (!file || !fgets(line, sizeof line, file)) return;
  line[strcspn(line, "\n")] = 0;
  struct disk *more = realloc(disks, (count + 1) * sizeof *disks);
  if (!more) abort();
  disks = more;
  if (snprintf(disks[count].serial, serial_size, "%s", line) >= serial_size ||
      snprintf(disks[count].device, device_size, "/dev/%s", name) >= device_size)
    return;
  count++;
  // The host orders requests; a scheduler here is only in the way.
  snprintf(path, sizeof path, "/sys/block/%s/queue/scheduler", name);
  write_file(path, "none");
}

void disks_prepare(void) {
  DIR *directory = opendir("/sys/block");
  for (struct dirent *entry; directory && (entry = readdir(directory));)
    if (strncmp(entry->d_name, "vd", 2) == 0) add(entry->d_name);
  if (directory) closedir(directory);
}

const char *disks_find(const char *serial) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(disks[i].serial, serial) == 0) return disks[i].device;
  errno = ENODEV;
  return NULL;
}
