// The pages that its mappings have of their own.
//
// Source: Linux, Documentation/admin-guide/mm/pagemap.rst.
#pragma once
#include "list.h"

// And those that are guards, which hold nothing.
extern struct list runs, guards;

// Writes the pages to the image.
void read_runs(void);
