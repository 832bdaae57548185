#include "serve.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "common.h"
#include "port.h"
#include "process.h"
#include "protocol.h"
#include "requests.h"

static int signals = -1;

int serve_prepare(void) {
  sigset_t set;
  sigfillset(&set);
  if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return -1;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGIO);
  signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  return signals < 0 ? -1 : 0;
}

static void read_signals(void) {
  struct signalfd_siginfo signal;
  while (read(signals, &signal, sizeof signal) == sizeof signal)
    if (signal.ssi_signo == SIGIO) port_signalled();
}

void serve_turn(int pause) {
  static struct pollfd polls[2 + LIMIT_PROCESSES * POLLS_PER_PROCESS];
  polls[0] = (struct pollfd){.fd = signals, .events = POLLIN};
  polls[1] = (struct pollfd){.fd = port_poll_fd(), .events = port_poll_events()};
  size_t count = processes_poll(polls + 2);
  // Looks at the port now and then even without a signal: one that came before the last poll is spent.
  if (polls[1].fd < 0 && (pause < 0 || pause > 250)) pause = 250;
  if (poll(polls, 2 + count, pause) == 0) port_signalled();
  if (polls[0].revents) read_signals();
  processes_reap();
  processes_polled(polls + 2);
  if (polls[1].revents & POLLIN) port_read(requests_handle);
  if (polls[1].revents & POLLHUP) port_hung_up();
  processes_settle();
  do port_flush();
  while (processes_send() && port_has_room());
  port_flush();
  processes_write_back();
}
