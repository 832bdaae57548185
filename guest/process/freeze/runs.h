// The pages that its mappings have of their own.
//
// Source: Linux, Documentation/admin-guide/mm/pagemap.rst.
#pragma once
#include "list.h"

extern struct list runs;

// Writes them to the image.
void read_runs(void);
