#include "descriptors.h"

#include <linux/eventpoll.h>
#include <linux/fcntl.h>

#include "report.h"
#include "system.h"
#include "tables.h"
#include "taps.h"

// Moves what was opened to the number that it has to have.
static void place_descriptor(long opened, const struct descriptor *wanted, const char *what) {
  check(opened, what, wanted->path);
  if (opened == wanted->number) return;
  check(call(SYS_dup3, opened, wanted->number, wanted->flags & O_CLOEXEC), "dup3", what);
  call(SYS_close, opened);
}

static void open_path(const struct descriptor *wanted) {
  long opened = call(SYS_openat, AT_FDCWD, wanted->path, wanted->flags & ~(O_CREAT | O_EXCL | O_TRUNC), 0);
  place_descriptor(opened, wanted, "open");
  if (wanted->value != 0) call(SYS_lseek, wanted->number, wanted->value, 0);
}

static const struct descriptor *descriptor_of(int number) {
  const struct descriptor *all = table(&image->descriptors);
  for (uint64_t i = 0; i < image->descriptors.count; i++)
    if (all[i].number == number) return &all[i];
  return 0;
}

// Whoever has one of them already has the disk of this very workload.
static void take_locks(void) {
  const struct lock *locks = table(&image->locks);
  for (uint64_t i = 0; i < image->locks.count; i++) {
    struct flock lock = {
      .l_type = locks[i].exclusive ? F_WRLCK : F_RDLCK,
      .l_start = (long)locks[i].first,
      .l_len = locks[i].last == EVERYTHING ? 0 : (long)(locks[i].last - locks[i].first + 1),
    };
    check(call(SYS_fcntl, locks[i].number, F_OFD_SETLK, &lock), "lock", descriptor_of(locks[i].number)->path);
  }
}

void open_descriptors(void) {
  static char memory_path[] = "/proc/self/fd/0000";
  const struct descriptor *all = table(&image->descriptors);
  const struct watch *watches = table(&image->watches);
  char *digits = memory_path + sizeof "/proc/self/fd/" - 1;
  for (uint32_t number = image->memory, i = 4; i-- > 0; number /= 10) digits[i] = (char)('0' + number % 10);
  // Leading zeros are not part of a number in there.
  while (digits[0] == '0' && digits[1] != 0)
    for (size_t i = 0; digits[i] != 0; i++) digits[i] = digits[i + 1];
  for (uint64_t i = 0; i < image->descriptors.count; i++) {
    const struct descriptor *wanted = &all[i];
    switch (wanted->kind) {
      case OPEN_PATH: open_path(wanted); break;
      case OPEN_MEMORY:
        place_descriptor(call(SYS_openat, AT_FDCWD, memory_path, wanted->flags & ~(O_CREAT | O_EXCL | O_TRUNC), 0), wanted, "open");
        break;
      case OPEN_EVENTS:
        place_descriptor(call(SYS_eventfd2, wanted->value, wanted->flags & (O_NONBLOCK | O_CLOEXEC)), wanted, "eventfd");
        break;
      case OPEN_SIGNALS:
        place_descriptor(call(SYS_signalfd4, -1, &wanted->value, 8, wanted->flags & (O_NONBLOCK | O_CLOEXEC)), wanted, "signalfd");
        break;
      case OPEN_POLL: place_descriptor(call(SYS_epoll_create1, wanted->flags & O_CLOEXEC), wanted, "epoll"); break;
      case OPEN_TAP: place_descriptor(open_tap(wanted), wanted, "tap"); break;
    }
  }
  for (uint64_t i = 0; i < image->watches.count; i++) {
    struct epoll_event event = {watches[i].events, watches[i].data};
    if (descriptor_of(watches[i].number) == 0) fail("a watched descriptor is not there", "", 0);
    check(call(SYS_epoll_ctl, watches[i].poll, EPOLL_CTL_ADD, watches[i].number, &event), "epoll_ctl", "");
  }
  take_locks();
}
