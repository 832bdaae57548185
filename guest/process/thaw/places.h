// The mappings of the process: this program's own go, those of the image come.
#pragma once
#include <stdint.h>

// A private mapping at just that place; returns it.
long map(uint64_t start, uint64_t bytes, uint64_t protection, long flags, long file, uint64_t offset);
void drop(uint64_t start, uint64_t end);

// Those of the image, with its pages; the kernel's pages are apart (kernel-pages.h).
void map_places(long self);
