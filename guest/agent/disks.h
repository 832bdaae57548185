// Block devices, found by the serial number the host gave them: their order says nothing.
#pragma once
#include "common.h"

int disks_find(const char *serial, char *device, size_t size);
