#include "writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

#define MOST_IMAGE (512UL << 20)

static int out;
// The tables' size is not known yet when the pages are written.
static uint64_t written = TABLES_MOST;
static uint64_t tables_at = (sizeof(struct image) + 7) & ~7UL;

void open_image(const char *path) {
  out = open(path, O_RDWR | O_CLOEXEC);
  if (out < 0) fail("%s: %s", path, strerror(errno));
}

uint64_t pages_end(void) { return written; }

void write_pages(const void *data, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t count = pwrite(out, (const char *)data + done, bytes - done, (off_t)(written + done));
    if (count <= 0) fail_for_now("the image cannot be written: %s", strerror(errno));
    done += (size_t)count;
  }
  written += bytes;
  if (written > MOST_IMAGE) fail("it has more than %lu bytes", MOST_IMAGE);
}

uint64_t place_bytes(uint64_t bytes) {
  uint64_t at = tables_at;
  tables_at += bytes;
  return at;
}

struct table place_list(const struct list *list) {
  return (struct table){place_bytes((list->count * list->size + 7) & ~7UL), list->count};
}

uint64_t tables_bytes(void) {
  uint64_t bytes = (tables_at + PAGE - 1) & ~(PAGE - 1);
  if (bytes > TABLES_MOST) fail("its tables have more than %lu bytes", TABLES_MOST);
  return bytes;
}

void put(const void *data, size_t bytes, uint64_t offset) {
  if (pwrite(out, data, bytes, (off_t)offset) != (ssize_t)bytes) fail_for_now("the image cannot be written: %s", strerror(errno));
}

void put_list(const struct list *list, struct table table) {
  if (list->count > 0) put(list->items, list->count * list->size, table.offset);
}
