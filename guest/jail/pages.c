// QEMU asks for huge pages for every block of a guest's memory, be it as small as its firmware's tables. The largest of
// those is 2 MiB of which some 128 KiB are used: one huge page is two megabytes of the host's memory for nothing.
// The guest's own memory, and that for translated code, are far larger and stay as they are.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HUGE_PAGE (2UL * 1024 * 1024)

int madvise(void *address, size_t length, int advice) {
  if (advice == MADV_HUGEPAGE && length <= HUGE_PAGE) return 0;
  return (int)syscall(SYS_madvise, address, length, advice);
}
