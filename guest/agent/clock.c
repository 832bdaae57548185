// While it boots, the kernel measures the processor's time stamp counter against a timer of the machine. An emulator that
// is held up just then by a busy host makes it find a rate that is wrong several times over, and every copy of the machine
// has that clock. ACPI's power management timer has a fixed rate (ACPI 6.5, 4.8.3.3), but reading it is slow: it is the
// clock only where the counter's rate is wrong.
#include "clock.h"

#include <fcntl.h>
#include <sys/io.h>
#include <time.h>

#include "files.h"

#define SYSFS "/sys/devices/system/clocksource/clocksource0/"

static const int64_t timer_rate = 3579545;
static const uint32_t timer_mask = 0xffffff;
static const int64_t second = 1000000000;
static const int64_t span = 50 * INT64_C(1000000);

struct reading {
  uint32_t timer;
  int64_t clock;
};

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * second + time.tv_nsec;
}

// Both at nearly one moment: of some tries, the one that was held up least.
static struct reading read_both(unsigned short port) {
  struct reading best = {0};
  uint32_t shortest = timer_mask;
  for (int tries = 0; tries < 20; tries++) {
    uint32_t before = inl(port);
    int64_t clock = now();
    uint32_t after = inl(port);
    uint32_t took = (after - before) & timer_mask;
    if (took >= shortest) continue;
    shortest = took;
    best = (struct reading){.timer = before + took / 2, .clock = clock};
  }
  return best;
}

// Where the timer is, from a line such as "  0608-060b : ACPI PM_TMR".
static int find_timer(void) {
  cleanup_file FILE *ports = fopen("/proc/ioports", "re");
  char line[160];
  unsigned first;
  while (ports && fgets(line, sizeof line, ports))
    if (strstr(line, "ACPI PM_TMR") && sscanf(line, " %x-", &first) == 1 && first <= 0xffff) return (int)first;
  return -1;
}

static bool uses_counter(void) {
  char name[16] = "";
  cleanup_close int fd = open(SYSFS "current_clocksource", O_RDONLY | O_CLOEXEC);
  return fd >= 0 && read(fd, name, sizeof name - 1) > 0 && strcmp(name, "tsc\n") == 0;
}

// What the clock says of a time that the timer measures, in thousandths.
static int64_t rate(unsigned short port) {
  const int64_t ticks = span * timer_rate / second;
  struct reading first = read_both(port);
  while (((inl(port) - first.timer) & timer_mask) < ticks);
  struct reading last = read_both(port);
  int64_t elapsed = ((last.timer - first.timer) & timer_mask) * second / timer_rate;
  return (last.clock - first.clock) * 1000 / elapsed;
}

int clock_check(void) {
  if (!uses_counter()) return 0;
  int port = find_timer();
  if (port < 0 || ioperm((unsigned long)port, 4, 1) < 0) {
    console("the clock's rate cannot be checked: %s", port < 0 ? "no ACPI timer" : strerror(errno));
    return 0;
  }
  int64_t seen = rate((unsigned short)port);
  ioperm((unsigned long)port, 4, 0);
  if (seen > 980 && seen < 1020) return 0;
  console("the processor's counter runs at %lld thousandths of its rate: another clock is used", (long long)seen);
  return write_file(SYSFS "current_clocksource", "acpi_pm");
}
