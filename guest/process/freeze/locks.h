// The locks that it has of its files: QEMU keeps others from a disk by them.
#pragma once
#include <stdint.h>
#include <stdio.h>

#include "list.h"

extern struct list locks;

// INFO is what fdinfo says of the descriptor.
void read_locks(FILE *info, int32_t number);
