#include "kernel-pages.h"

#include <linux/mman.h>

#include "report.h"
#include "system.h"
#include "tables.h"

static void move(uint64_t from, uint64_t to, uint64_t bytes) {
  if (from == to) return;
  long result = call(SYS_mremap, from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  if (result != (long)to) fail("mremap", "", result);
}

// The kernel's pages were and are in one piece, in the same order: their code finds their data by the distance.
static uint64_t kernel_start(uint64_t *data_bytes) {
  const struct place *places = table(&image->places);
  uint64_t start = 0;
  *data_bytes = 0;
  for (uint64_t i = 0; i < image->places.count; i++) {
    if (places[i].kind != PLACE_KERNEL) continue;
    if (start == 0) start = places[i].start;
    if (places[i].protection & 4) return start;
    *data_bytes += places[i].end - places[i].start;
  }
  fail("the kernel's pages are missing", "", 0);
}

static void move_kernel_pages(uint64_t from, uint64_t to) {
  const struct place *places = table(&image->places);
  uint64_t data_bytes, start = kernel_start(&data_bytes);
  for (uint64_t i = 0; i < image->places.count; i++)
    if (places[i].kind == PLACE_KERNEL)
      move(from + (places[i].start - start), to + (places[i].start - start), places[i].end - places[i].start);
}

void put_kernel_pages_aside(uint64_t code) {
  uint64_t data_bytes;
  kernel_start(&data_bytes);
  move_kernel_pages(code - data_bytes, KERNEL_PAGES_PLACE);
}

void place_kernel_pages(void) {
  uint64_t data_bytes;
  move_kernel_pages(KERNEL_PAGES_PLACE, kernel_start(&data_bytes));
}
