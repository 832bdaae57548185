#include "fields.h"

#include "protocol.h"

uint64_t read_number(struct reader *reader, size_t bytes) {
  if (reader->bad || (size_t)(reader->end - reader->at) < bytes) {
    reader->bad = true;
    return 0;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; i++) value |= (uint64_t)reader->at[i] << (8 * i);
  reader->at += bytes;
  return value;
}

char *read_string(struct reader *reader, size_t *length) {
  size_t bytes = read_number(reader, 4);
  if ((size_t)(reader->end - reader->at) < bytes) reader->bad = true;
  if (reader->bad) bytes = 0;
  char *string = must_allocate(bytes + 1);
  memcpy(string, reader->at, bytes);
  reader->at += bytes;
  if (length)
    *length = bytes;
  else if (memchr(string, 0, bytes))
    reader->bad = true;
  return string;
}

char **read_strings(struct reader *reader) {
  size_t count = read_number(reader, 4);
  // Each string takes at least its length field, so the payload bounds the allocation.
  if (count > LIMIT_STRINGS || count > (size_t)(reader->end - reader->at) / 4) {
    reader->bad = true;
    count = 0;
  }
  char **strings = must_allocate((count + 1) * sizeof *strings);
  for (size_t i = 0; i < count; i++) strings[i] = read_string(reader, NULL);
  return strings;
}

void free_strings(char **strings) {
  if (!strings) return;
  for (char **string = strings; *string; string++) free(*string);
  free(strings);
}

static void reserve(struct writer *writer, size_t bytes) {
  if (writer->used + bytes <= writer->size) return;
  size_t size = (writer->used + bytes) * 2;
  uint8_t *data = realloc(writer->data, size);
  if (!data) {
    console("out of memory");
    abort();
  }
  writer->data = data;
  writer->size = size;
}

void write_number(struct writer *writer, uint64_t value, size_t bytes) {
  reserve(writer, bytes);
  for (size_t i = 0; i < bytes; i++) writer->data[writer->used++] = value >> (8 * i);
}

void write_bytes(struct writer *writer, const void *data, size_t length) {
  if (length == 0) return;
  reserve(writer, length);
  memcpy(writer->data + writer->used, data, length);
  writer->used += length;
}

void write_string(struct writer *writer, const char *string) {
  size_t length = strlen(string);
  write_number(writer, length, 4);
  write_bytes(writer, string, length);
}

void writer_free(struct writer *writer) {
  free(writer->data);
  *writer = (struct writer){0};
}
