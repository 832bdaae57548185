// What the image has at a path: its layers looked through as overlayfs does.
#pragma once
#include <sys/stat.h>

#include "files.h"
#include "names.h"

bool lower_find(const struct files_places *places, const char *path, struct stat *status);
// The names that the image has in a directory; some of them may be hidden.
void lower_names(const struct files_places *places, const char *path, struct names *names);
