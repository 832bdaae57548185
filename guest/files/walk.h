// Reading: a tree, or the layer of what was changed.
#pragma once
#include "files.h"

void walk_status(const char *path);
// The file or directory at `path` of the present root, and all below it.
void walk_tree(const char *path);
// Everything in `places->upper`, which is the present root: with data, or only what differs from the image.
void walk_layer(const struct files_places *places, bool with_data);
