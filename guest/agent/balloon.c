#include "balloon.h"

#include <time.h>

#include "process.h"
#include "protocol.h"
#include "virtio.h"

static const int64_t delay = 3000;
static int64_t due = -1;
static bool begun;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000) + time.tv_nsec / 1000000;
}

int balloon_wait(void) {
  if (begun || process_phase() != PHASE_RUNNING) return -1;
  if (due < 0) due = now() + delay;
  int64_t left = due - now();
  return left > 0 ? (int)left : 0;
}

void balloon_begin(void) {
  char device[VIRTIO_NAME];
  if (balloon_wait() != 0) return;
  begun = true;
  if (virtio_find(VIRTIO_BALLOON, 0, device) < 0 || virtio_bind("virtio_balloon", device) < 0)
    console("freed memory stays with the machine: %s", strerror(errno));
}
