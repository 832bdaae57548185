// The agent: PID 1 of a Hull VM. Boots, then serves the daemon until it is told to end.
#include <linux/reboot.h>
#include <poll.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>

#include "balloon.h"
#include "boot.h"
#include "generation.h"
#include "process.h"
#include "protocol.h"
#include "requests.h"
#include "workload.h"

static int open_signals(void) {
  sigset_t signals;
  sigfillset(&signals);
  if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0) return -1;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGIO);
  return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void read_signals(int fd) {
  struct signalfd_siginfo signal;
  while (read(fd, &signal, sizeof signal) == sizeof signal)
    if (signal.ssi_signo == SIGIO) port_signalled();
}

// Of two waits in milliseconds, where less than nothing is without end.
static int sooner(int one, int other) { return one < 0 || (other >= 0 && other < one) ? other : one; }

static void serve(int signals) {
  static struct pollfd polls[2 + LIMIT_PROCESSES * POLLS_PER_PROCESS];
  while (!requests_ending()) {
    polls[0] = (struct pollfd){.fd = signals, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = port_poll_fd(), .events = port_poll_events()};
    size_t count = processes_poll(polls + 2);
    // Looks at the port now and then even without a signal: one that came before the last poll is spent.
    int pause = sooner(balloon_wait(), generation_release(process_phase() >= PHASE_RUNNING));
    if (poll(polls, 2 + count, polls[1].fd < 0 ? sooner(pause, 250) : pause) == 0) port_signalled();
    if (polls[0].revents) read_signals(signals);
    processes_reap();
    processes_polled(polls + 2);
    if (polls[1].revents & POLLIN) port_read(requests_handle);
    if (polls[1].revents & POLLHUP) port_hung_up();
    processes_settle();
    do port_flush();
    while (processes_send() && port_has_room());
    port_flush();
    processes_write_back();
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

int main(int count, char **arguments) {
  // The program of a rehearsal. The kernel gives the first process arguments, too, but not this one.
  if (count == 2 && strcmp(arguments[1], "rehearsal") == 0) return 0;
  int signals = open_signals();
  if (signals >= 0 && boot() == 0 && workload_prepare() == 0 && port_open() == 0) {
    serve(signals);
    drain();
  } else {
    console("cannot boot: %s", strerror(errno));
  }
  reboot(LINUX_REBOOT_CMD_POWER_OFF);
  return 1;
}
