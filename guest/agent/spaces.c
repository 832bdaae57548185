#include "spaces.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common.h"
#include "files.h"

#define OWN "/proc/self/ns/net"

static int own = -1, lone = -1;

static int bring_up_loopback(void) {
  cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  return fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);
}

static int set_up(void) {
  // As a container has it, whose network is its own: pings and low ports without privileges.
  write_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
  write_file("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
  return bring_up_loopback();
}

// Numbers below three are the standard streams' to be in every child.
static int open_present(void) {
  cleanup_close int fd = open(OWN, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int spaces_prepare(void) {
  own = open_present();
  if (own < 0 || set_up() < 0 || unshare(CLONE_NEWNET) < 0 || set_up() < 0) return -1;
  lone = open_present();
  return lone < 0 ? -1 : spaces_leave_lone();
}

int spaces_enter_lone(void) { return setns(lone, CLONE_NEWNET); }
int spaces_leave_lone(void) { return setns(own, CLONE_NEWNET); }
