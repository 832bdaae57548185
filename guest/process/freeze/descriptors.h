// What it has open.
//
// Source: Linux, Documentation/filesystems/proc.rst (fdinfo).
#pragma once
#include "list.h"

// By their numbers; and what those that poll look at.
extern struct list descriptors, watches;

void read_descriptors(void);
