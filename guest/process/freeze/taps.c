#include "taps.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"
#include "report.h"

// What the kernel does not tell is in a page of the process's own (../../jail/tap.c).
static const struct notes *notes(void) {
  static struct notes notes;
  if (notes.magic != 0) return &notes;
  if (pread(process_memory, &notes, sizeof notes, NOTES_PLACE) != sizeof notes || notes.magic != NOTES_MAGIC)
    notes = (struct notes){.magic = NOTES_MAGIC};
  return &notes;
}

static int32_t descriptor_of(int32_t number) {
  int process = (int)syscall(SYS_pidfd_open, process_id, 0);
  int own = (int)syscall(SYS_pidfd_getfd, process, number, 0);
  close(process);
  if (own < 0) fail("descriptor %d: %s", number, strerror(errno));
  return own;
}

void read_tap(struct descriptor *descriptor) {
  int own = descriptor_of(descriptor->number);
  struct ifreq request = {};
  int header = 0, buffer = 0;
  if (ioctl(own, TUNGETIFF, &request) < 0 || ioctl(own, TUNGETVNETHDRSZ, &header) < 0 || ioctl(own, TUNGETSNDBUF, &buffer) < 0)
    fail("the tap of descriptor %d: %s", descriptor->number, strerror(errno));
  close(own);
  descriptor->kind = OPEN_TAP;
  descriptor->header = (uint32_t)header;
  descriptor->send_buffer = buffer;
  descriptor->value = (uint64_t)(unsigned short)request.ifr_flags;
  if (descriptor->number >= MOST_DESCRIPTORS) fail("what was asked of the tap of descriptor %d is not noted", descriptor->number);
  descriptor->offload = notes()->offloads[descriptor->number];
  snprintf(descriptor->path, sizeof descriptor->path, "%.*s", IFNAMSIZ, request.ifr_name);
}
