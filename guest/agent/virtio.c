#include "virtio.h"

#include <dirent.h>
#include <sys/stat.h>

#include "files.h"

#define BUS "/sys/bus/virtio"

struct device {
  char name[VIRTIO_NAME], address[128];
};

static bool is_kind(const char *name, unsigned kind) {
  char path[320], line[16] = "";
  snprintf(path, sizeof path, BUS "/devices/%s/device", name);
  cleanup_file FILE *file = fopen(path, "re");
  return file && fgets(line, sizeof line, file) && strtoul(line, NULL, 16) == kind;
}

static int by_address(const void *one, const void *other) {
  return strcmp(((const struct device *)one)->address, ((const struct device *)other)->address);
}

int virtio_find(unsigned kind, unsigned place, char name[VIRTIO_NAME]) {
  enum { maximum = 16 };
  struct device devices[maximum];
  size_t count = 0;
  DIR *directory = opendir(BUS "/devices");
  for (struct dirent *entry; directory && count < maximum && (entry = readdir(directory));) {
    struct device *device = &devices[count];
    char path[320];
    if (entry->d_name[0] == '.' || strlen(entry->d_name) >= VIRTIO_NAME || !is_kind(entry->d_name, kind)) continue;
    snprintf(path, sizeof path, BUS "/devices/%s", entry->d_name);
    // The link goes through the device's address on the PCI bus: …/0000:00:01.3/virtio3.
    ssize_t length = readlink(path, device->address, sizeof device->address - 1);
    if (length <= 0) continue;
    device->address[length] = 0;
    strcpy(device->name, entry->d_name);
    count++;
  }
  if (directory) closedir(directory);
  qsort(devices, count, sizeof *devices, by_address);
  if (place >= count) {
    errno = ENODEV;
    return -1;
  }
  memcpy(name, devices[place].name, VIRTIO_NAME);
  return 0;
}

static bool is_bound(const char *driver, const char *device) {
  char path[160];
  struct stat status;
  snprintf(path, sizeof path, BUS "/drivers/%s/%s", driver, device);
  return lstat(path, &status) == 0;
}

static int tell(const char *driver, const char *what, const char *device) {
  char path[160];
  snprintf(path, sizeof path, BUS "/drivers/%s/%s", driver, what);
  return write_file(path, device);
}

int virtio_bind(const char *driver, const char *device) {
  return is_bound(driver, device) ? 0 : tell(driver, "bind", device);
}

int virtio_unbind(const char *driver, const char *device) {
  return is_bound(driver, device) ? tell(driver, "unbind", device) : 0;
}
