// The filter of system calls that it has set for itself.
#pragma once
#include "list.h"

extern struct list filter;

void read_filter(void);
