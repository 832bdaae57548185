#include "taps.h"

#include <linux/fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/ioctl.h>

#include "report.h"
#include "system.h"

static void copy_name(char *to, const char *from) {
  for (size_t i = 0; i < IFNAMSIZ - 1 && from[i] != 0; i++) to[i] = from[i];
}

// A card that nothing is behind: it has something that can neither be read nor written to, and that is never ready.
static long open_nothing(void) {
  uint64_t none = 0;
  return call(SYS_signalfd4, -1, &none, sizeof none, O_NONBLOCK | O_CLOEXEC);
}

// The first card has one that leads nowhere if the workload has no network.
long open_tap(const struct descriptor *wanted) {
  struct ifreq request;
  long tap = check(call(SYS_openat, AT_FDCWD, "/dev/net/tun", O_RDWR | O_NONBLOCK), "open", "/dev/net/tun");
  memset(&request, 0, sizeof request);
  request.ifr_flags = (short)(wanted->value & (IFF_TAP | IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE));
  copy_name(request.ifr_name, wanted->path);
  long result = call(SYS_ioctl, tap, TUNSETIFF, &request);
  if (result < 0) {
    memset(request.ifr_name, 0, sizeof request.ifr_name);
    if (wanted->path[0] != 't' || wanted->path[3] != '0') {
      call(SYS_close, tap);
      return open_nothing();
    }
    copy_name(request.ifr_name, "blind");
    check(call(SYS_ioctl, tap, TUNSETIFF, &request), "attach", wanted->path);
  }
  int header = (int)wanted->header, buffer = wanted->send_buffer;
  check(call(SYS_ioctl, tap, TUNSETVNETHDRSZ, &header), "the header's size of", wanted->path);
  check(call(SYS_ioctl, tap, TUNSETSNDBUF, &buffer), "the buffer of", wanted->path);
  check(call(SYS_ioctl, tap, TUNSETOFFLOAD, wanted->offload), "the offloads of", wanted->path);
  return tap;
}
