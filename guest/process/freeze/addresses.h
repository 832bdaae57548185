// Where the kernel says that its code, heap, stack and command line are.
#pragma once
#include <linux/prctl.h>

void read_addresses(struct prctl_mm_map *map);
