#include "actions.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../image.h"
#include "calls.h"
#include "process.h"
#include "report.h"
#include "threads.h"

struct list actions = {.size = sizeof(struct action)};

// Where it has a buffer below its stack, which nobody needs any more.
void read_actions(void) {
  uint64_t place = call_place(), buffer = (threads[0].registers.rsp - 1024) & ~63UL;
  for (int signal = 1; signal <= 64; signal++) {
    struct {
      uint64_t handler, flags, restorer, mask;
    } found;
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    long result = call_process(place, SYS_rt_sigaction, (uint64_t)signal, 0, buffer, 8);
    if (result < 0) fail("what it does at signal %d: %s", signal, strerror((int)-result));
    if (pread(process_memory, &found, sizeof found, (off_t)buffer) != sizeof found) fail("its stack: %s", strerror(errno));
    if (found.handler == 0) continue;
    struct action action = {(uint64_t)signal, found.handler, found.flags, found.restorer, found.mask};
    add(&actions, &action);
  }
}
