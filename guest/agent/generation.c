#include "generation.h"

#include <time.h>

#include "files.h"

// The event that QEMU raises (its hw/acpi/aml-build and vmgenid: _E05). Masked, it stays pending. The kernel knows the
// words with their newlines only (drivers/acpi/sysfs.c, counter_set).
#define EVENT "/sys/firmware/acpi/interrupts/gpe05"

enum { delay_milliseconds = 1000 };

static bool held;
static int64_t due;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000ll + time.tv_nsec / 1000000;
}

// A machine that boots has no such device, and nothing to hold back.
static bool is_there(void) {
  char line[64] = "";
  cleanup_file FILE *file = fopen(EVENT, "re");
  return file && fgets(line, sizeof line, file) && !strstr(line, "invalid");
}

int generation_hold(void) {
  if (!is_there()) return 0;
  held = write_file(EVENT, "mask\n") == 0;
  return held ? 0 : -1;
}

int generation_release(bool workload_runs) {
  if (!held || !workload_runs) return -1;
  if (!due) due = now() + delay_milliseconds;
  if (now() < due) return due - now();
  held = false;
  write_file(EVENT, "unmask\n");
  return -1;
}
