// Writes the image: its tables one after the other, and its pages behind the room for all tables.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "../image.h"
#include "list.h"

void open_image(const char *path);

// Where the next pages are written.
uint64_t pages_end(void);
void write_pages(const void *data, size_t bytes);

// Offsets of tables, and of what they point to; nothing is written.
struct table place_list(const struct list *list);
uint64_t place_bytes(uint64_t bytes);
// Bytes of all that has a place.
uint64_t tables_bytes(void);

void put(const void *data, size_t bytes, uint64_t offset);
void put_list(const struct list *list, struct table table);
