// One file by an O_PATH descriptor. What cannot be done with such a descriptor is done by its name in /proc/self/fd,
// which is the working directory: that way nothing is looked up twice, and a workload that exchanges files meanwhile
// gains nothing.
#pragma once
#include <sys/stat.h>

#include "../agent/fields.h"

enum entry_type {
  ENTRY_FILE = '0',
  ENTRY_HARD_LINK = '1',
  ENTRY_SYMBOLIC_LINK = '2',
  ENTRY_CHARACTER_DEVICE = '3',
  ENTRY_BLOCK_DEVICE = '4',
  ENTRY_DIRECTORY = '5',
  ENTRY_FIFO = '6',
  ENTRY_WHITEOUT = 'w',
};

// The name of a descriptor in the working directory. Valid until the fourth call after this one.
const char *own_name(int fd);
// Opens the file of an O_PATH descriptor.
int open_again(int fd, int flags);
bool is_whiteout(const struct stat *status);
bool is_opaque(int fd);

// Of two hard links the later one is told by the name of the first; NULL for what was not seen before, which `path`
// is then remembered for.
const char *seen_before(const struct stat *status, const char *path);

struct segment {
  uint64_t offset, length;
};
// Where a file has data, if it has holes worth telling; 0 if it has none.
size_t find_segments(int fd, const struct stat *status, struct segment **segments);

// Adds an entry's fields. `opaque` and `below` (NULL: nothing) matter in a layer only.
void write_entry(struct writer *writer, int fd, const struct stat *status, uint8_t type, const char *path,
                 const char *target, const struct segment *segments, size_t segment_count, bool opaque,
                 const struct stat *below);
uint8_t type_of(const struct stat *status);
