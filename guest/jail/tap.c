// What QEMU asked of its taps cannot be asked of the kernel again: it is noted for whoever makes an image of the process
// (process/freeze). The note is a page at an address that the image's reader leaves free.
#include <linux/if_tun.h>
#include <linux/ioctl.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../process/image.h"

static struct notes *notes(void) {
  static struct notes *page;
  if (page == NULL) {
    void *made = mmap((void *)NOTES_PLACE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (made != (void *)NOTES_PLACE) return NULL;
    page = made;
    page->magic = NOTES_MAGIC;
  }
  return page;
}

int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  unsigned long argument = va_arg(list, unsigned long);
  va_end(list);
  int result = (int)syscall(SYS_ioctl, fd, request, argument);
  if (request == TUNSETOFFLOAD && result == 0 && fd >= 0 && fd < MOST_DESCRIPTORS && notes() != NULL)
    notes()->offloads[fd] = (unsigned)argument;
  return result;
}
