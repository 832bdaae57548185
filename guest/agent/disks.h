// The machine's disks by their serials.
#pragma once
#include "common.h"

// Looks at the disks that are there; no other comes.
void disks_prepare(void);
// The device's path, or NULL if there is no such disk.
const char *disks_find(const char *serial);
