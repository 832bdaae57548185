#include "runs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "../image.h"
#include "places.h"
#include "process.h"
#include "report.h"
#include "writer.h"

// Pages of nothing between two runs that are not worth a mapping of their own.
#define GAP 32

struct list runs = {.size = sizeof(struct run)}, guards = {.size = sizeof(struct guard)};

static bool is_zero(const uint64_t *page) {
  for (size_t i = 0; i < PAGE / sizeof *page; i++)
    if (page[i] != 0) return false;
  return true;
}

// A page is its own if it is there, and not a file's.
static bool is_own(uint64_t entry, uint16_t kind) {
  bool there = (entry >> 63 & 1) || (entry >> 62 & 1);
  return there && (kind == PLACE_ANONYMOUS || !(entry >> 61 & 1));
}

// Kernels before 6.15 do not tell. There, reading such a page fails.
static bool is_guard(uint64_t entry) { return entry >> 58 & 1; }

static void add_guard(uint64_t start) {
  struct guard *last = guards.count == 0 ? NULL : (struct guard *)guards.items + guards.count - 1;
  if (last != NULL && last->start + last->pages * PAGE == start) {
    last->pages++;
    return;
  }
  struct guard guard = {start, 1};
  add(&guards, &guard);
}

static void read_pages_of(int pagemap, const struct place *place) {
  static uint64_t entries[512];
  static uint64_t page[PAGE / sizeof(uint64_t)];
  struct run *run = NULL;
  uint64_t nothing = 0;
  for (uint64_t at = place->start; at < place->end;) {
    size_t count = (place->end - at) / PAGE;
    if (count > 512) count = 512;
    if (pread(pagemap, entries, count * sizeof *entries, (off_t)(at / PAGE * sizeof *entries)) != (ssize_t)(count * sizeof *entries))
      fail("the pages at %lx: %s", at, strerror(errno));
    for (size_t i = 0; i < count; i++, at += PAGE) {
      if (is_guard(entries[i])) {
        add_guard(at);
        // No run goes across it.
        run = NULL;
        nothing = 0;
        continue;
      }
      bool own = is_own(entries[i], place->kind);
      if (own && pread(process_memory, page, PAGE, (off_t)at) != (ssize_t)PAGE) fail("the page at %lx: %s", at, strerror(errno));
      // A page of a file that was written to holds what it holds.
      if (!own || (place->kind == PLACE_ANONYMOUS && is_zero(page))) {
        nothing++;
        continue;
      }
      if (run != NULL && nothing > 0 && nothing <= GAP && place->kind == PLACE_ANONYMOUS) {
        for (; nothing > 0; nothing--, run->pages++) {
          static const char zeros[PAGE];
          write_pages(zeros, PAGE);
        }
      }
      if (run == NULL || nothing > 0) {
        struct run next = {.start = at, .offset = pages_end(), .protection = place->protection};
        run = add(&runs, &next);
      }
      nothing = 0;
      write_pages(page, PAGE);
      run->pages++;
    }
  }
}

void read_runs(void) {
  int pagemap = open_proc_file("pagemap");
  for (size_t i = 0; i < places.count; i++) {
    const struct place *place = (const struct place *)places.items + i;
    if (place->kind == PLACE_ANONYMOUS || place->kind == PLACE_FILE) read_pages_of(pagemap, place);
  }
  close(pagemap);
}
