#include "tables.h"

#include <asm/stat.h>

#include "places.h"
#include "report.h"
#include "system.h"
#include "threads.h"

const struct image *image;

const void *table(const struct table *table) {
  return (const char *)image + table->offset;
}

static int holds(const struct image *head, const struct table *table, size_t size) {
  return table->offset <= head->tables_bytes && table->count <= (head->tables_bytes - table->offset) / size;
}

static int holds_all(const struct image *head) {
  return holds(head, &head->places, sizeof(struct place)) && holds(head, &head->runs, sizeof(struct run)) &&
         holds(head, &head->guards, sizeof(struct guard)) && holds(head, &head->files, sizeof(struct file)) &&
         holds(head, &head->descriptors, sizeof(struct descriptor)) && holds(head, &head->watches, sizeof(struct watch)) &&
         holds(head, &head->locks, sizeof(struct lock)) && holds(head, &head->actions, sizeof(struct action)) &&
         holds(head, &head->threads, sizeof(struct thread)) && holds(head, &head->filter, sizeof(struct sock_filter));
}

// What the tables point to in other ones.
static int points_inside(void) {
  const struct place *places = table(&image->places);
  const struct thread *threads = table(&image->threads);
  for (uint64_t i = 0; i < image->places.count; i++)
    if (places[i].kind == PLACE_FILE && places[i].file >= image->files.count) return 0;
  for (uint64_t i = 0; i < image->threads.count; i++)
    if (threads[i].state > image->tables_bytes || threads[i].state_bytes > image->tables_bytes - threads[i].state) return 0;
  return 1;
}

void open_tables(long file) {
  static struct image head;
  struct stat status;
  if (call(SYS_pread64, file, &head, sizeof head, 0) != sizeof head || head.magic != IMAGE_MAGIC || head.self != (uint32_t)file ||
      head.tables_bytes > TABLES_MOST || head.threads.count == 0 || head.threads.count > MOST_THREADS || head.filter.count > MOST_FILTER)
    fail("this is no image", "", 0);
  check(call(SYS_fstat, file, &status), "stat", "");
  if (head.tables_bytes > (uint64_t)status.st_size || !holds_all(&head)) fail("the image is damaged", "", 0);
  image = (const struct image *)map(TABLES_PLACE, head.tables_bytes, 1, 0, file, 0);
  if (!points_inside()) fail("the image is damaged", "", 0);
}
