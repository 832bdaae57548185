// The image's tables, which are mapped where no process has anything.
#pragma once
#include "../image.h"

extern const struct image *image;

// From the file of the image.
void open_tables(long file);

const void *table(const struct table *table);
