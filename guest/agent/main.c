// The agent: PID 1 of a Hull VM. Boots, then serves the daemon until it is told to end.
#include <linux/reboot.h>
#include <poll.h>
#include <sys/reboot.h>

#include "balloon.h"
#include "boot.h"
#include "generation.h"
#include "process.h"
#include "protocol.h"
#include "requests.h"
#include "serve.h"
#include "workload.h"

// Of two waits in milliseconds, where less than nothing is without end.
static int sooner(int one, int other) { return one < 0 || (other >= 0 && other < one) ? other : one; }

static void serve(void) {
  while (!requests_ending()) {
    serve_turn(sooner(balloon_wait(), generation_release(process_phase() >= PHASE_RUNNING)));
    balloon_begin();
  }
}

// Gives the last answer a moment to reach the daemon.
static void drain(void) {
  for (int tries = 0; tries < 200 && !port_queue_empty(); tries++) {
    struct pollfd poll_port = {.fd = port_poll_fd(), .events = POLLOUT};
    poll(&poll_port, 1, 10);
    port_flush();
  }
}

int main(void) {
  if (serve_prepare() == 0 && boot() == 0 && workload_prepare() == 0 && port_open() == 0) {
    serve();
    drain();
  } else {
    console("cannot boot: %s", strerror(errno));
  }
  reboot(LINUX_REBOOT_CMD_POWER_OFF);
  return 1;
}
