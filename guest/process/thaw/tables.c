#include "tables.h"

#include "places.h"
#include "report.h"
#include "system.h"
#include "threads.h"

const struct image *image;

const void *table(const struct table *table) {
  return (const char *)image + table->offset;
}

void open_tables(long file) {
  static struct image head;
  if (call(SYS_pread64, file, &head, sizeof head, 0) != sizeof head || head.magic != IMAGE_MAGIC || head.self != (uint32_t)file ||
      head.tables_bytes > TABLES_MOST || head.threads.count == 0 || head.threads.count > MOST_THREADS)
    fail("this is no image", "", 0);
  image = (const struct image *)map(TABLES_PLACE, head.tables_bytes, 1, 0, file, 0);
}
