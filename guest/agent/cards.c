#include "cards.h"

#include <dirent.h>

#include "protocol.h"
#include "virtio.h"

static const char driver[] = "virtio_net";

static int interface_of(const char *device, char name[CARDS_NAME]) {
  char path[96];
  snprintf(path, sizeof path, "/sys/bus/virtio/devices/%s/net", device);
  DIR *directory = opendir(path);
  int found = -1;
  for (struct dirent *entry; directory && found < 0 && (entry = readdir(directory));)
    if (entry->d_name[0] != '.') found = snprintf(name, CARDS_NAME, "%s", entry->d_name) < CARDS_NAME ? 0 : -1;
  if (directory) closedir(directory);
  return found;
}

int cards_bind(unsigned place, char name[CARDS_NAME], struct failure *failure) {
  char device[VIRTIO_NAME];
  if (virtio_find(VIRTIO_NETWORK, place, device) < 0)
    return fail(failure, RESULT_INVALID, "the machine has no network card %u", place);
  if (virtio_bind(driver, device) < 0 || interface_of(device, name) < 0)
    return fail_errno(failure, "the network card %u does not work", place);
  return 0;
}

int cards_unbind(unsigned place, struct failure *failure) {
  char device[VIRTIO_NAME];
  if (virtio_find(VIRTIO_NETWORK, place, device) < 0) return 0;
  if (virtio_unbind(driver, device) < 0) return fail_errno(failure, "the network card %u cannot be let go", place);
  return 0;
}
