// An array that grows: what becomes a table of the image.
#pragma once
#include <stddef.h>

struct list {
  char *items;
  size_t count, room, size;
};

// Returns the copy, which stays where it is until the next one is added.
void *add(struct list *list, const void *item);
