#include "generation.h"

#include <time.h>

#include "files.h"

// The event that QEMU raises (its hw/acpi/aml-build and vmgenid: _E05). Masked, it stays pending.
#define EVENT "/sys/firmware/acpi/interrupts/gpe05"

enum { delay_milliseconds = 1000 };

static bool held;
static int64_t due;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000ll + time.tv_nsec / 1000000;
}

void generation_hold(void) {
  // A machine that boots has no such device, and nothing to hold back.
  held = write_file(EVENT, "mask") == 0;
}

int generation_release(bool workload_runs) {
  if (!held || !workload_runs) return -1;
  if (!due) due = now() + delay_milliseconds;
  if (now() < due) return due - now();
  held = false;
  write_file(EVENT, "unmask");
  return -1;
}
