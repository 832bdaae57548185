#include "touched.h"

#include <linux/mman.h>

#include "../image.h"
#include "system.h"

static struct touched touched[MOST_TOUCHED];
static uint64_t touched_count;

void read_touched(long file) {
  long bytes = call(SYS_pread64, file, touched, sizeof touched, 0);
  if (bytes > 0) touched_count = (uint64_t)bytes / sizeof *touched;
}

// All at once: each page that is looked at first, and written to afterwards, would be two faults.
void touch_memory(void) {
  for (uint64_t i = 0; i < touched_count; i++)
    call(SYS_madvise, touched[i].start, touched[i].pages * PAGE, touched[i].written ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
  // It is another workload's.
  memset(touched, 0, sizeof touched);
}
