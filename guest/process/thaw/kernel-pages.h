// The kernel's own pages in a process (vdso, vvar): this one's are moved to where the other had its.
#pragma once
#include <stdint.h>

// CODE is where this process has the code, after its data. They wait where nothing is laid.
void put_kernel_pages_aside(uint64_t code);
void place_kernel_pages(void);
