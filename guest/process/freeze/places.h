// Its mappings, and the files behind them.
//
// Sources: Linux, Documentation/filesystems/proc.rst (maps, smaps).
#pragma once
#include <stdbool.h>

#include "list.h"

extern struct list places, files;

void read_places(void);

// Whether that is the guest's memory, which is not part of the image.
bool is_guest_memory(const char *path, unsigned long inode);
