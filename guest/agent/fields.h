// Little-endian fields of a payload: a bounded reader and a growing writer.
#pragma once
#include "common.h"

// Once a read goes past the end, `bad` is set and every further read gives zero or an empty string.
struct reader {
  const uint8_t *at, *end;
  bool bad;
};

uint64_t read_number(struct reader *reader, size_t bytes);
// A NUL-terminated copy; a NUL inside makes the reader bad. `length` may be NULL.
char *read_string(struct reader *reader, size_t *length);
// A NULL-terminated list of strings.
char **read_strings(struct reader *reader);
void free_strings(char **strings);

struct writer {
  uint8_t *data;
  size_t used, size;
};

void write_number(struct writer *writer, uint64_t value, size_t bytes);
void write_bytes(struct writer *writer, const void *data, size_t length);
void write_string(struct writer *writer, const char *string);
void writer_free(struct writer *writer);
#define cleanup_writer __attribute__((cleanup(writer_free)))
