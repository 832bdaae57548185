// Loaded into the QEMU of a machine that was started from a template (LD_PRELOAD), so that memory which its guest has
// freed can go back to the host.
//
// QEMU drops a range of a guest's memory in two steps (ram_block_discard_range in system/physmem.c, softmmu/physmem.c
// before 8.2): it punches a hole into the file that is mapped, then it drops the pages of the mapping by madvise. A
// template's file is sealed, for it is everybody's: the first step fails with EPERM, and QEMU stops there. But the pages
// that are a machine's own are only in its private mapping, and the second step drops them. So the first step is said
// to have worked where it is a seal that forbids it, and nothing has been done to the file.
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_sealed(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_WRITE);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
  if (syscall(SYS_fallocate, fd, mode, offset, length) == 0) return 0;
  if (errno == EPERM && mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) && is_sealed(fd)) return 0;
  return -1;
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  return fallocate64(fd, mode, offset, length);
}
