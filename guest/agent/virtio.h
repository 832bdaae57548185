// Devices of the virtio bus whose driver waits for their use (boot.c has loaded it, and bound it to nothing).
#pragma once
#include "common.h"

enum { VIRTIO_NETWORK = 1, VIRTIO_BALLOON = 5, VIRTIO_9P = 9, VIRTIO_NAME = 32 };

// The device of that kind at `place`, counted in the order of the bus. Returns -1 when there is none.
int virtio_find(unsigned kind, unsigned place, char name[VIRTIO_NAME]);
// Both do nothing when it is so already.
int virtio_bind(const char *driver, const char *device);
int virtio_unbind(const char *driver, const char *device);
