// The agent's protocol without a VM: frames come from standard input, answers go to standard output. What works in a
// guest only, or needs privileges, is replaced; processes are real ones. Built with sanitizers by
// test/support/agent-harness.ts for tests that run it without privileges.
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "../agent/port.c"

#include "../agent/cards.h"
#include "../agent/cgroup.h"
#include "../agent/first.h"
#include "../agent/mounts.h"
#include "../agent/netlink.h"
#include "../agent/process.h"
#include "../agent/protocol.h"
#include "../agent/requests.h"
#include "../agent/workload.h"

static int root_fd = -1;

int workload_set_up(struct reader *fields, struct failure *failure) {
  (void)fields;
  return fail(failure, RESULT_INVALID, "the root file system is set up already");
}
int workload_prepare_root(struct reader *fields, struct failure *failure) {
  (void)fields;
  return fail(failure, RESULT_INVALID, "there is a root file system already");
}
bool workload_ready(void) { return true; }
pid_t workload_clone(void) { return fork(); }
pid_t workload_start_first(const struct child_plan *plan) {
  (void)plan;
  return fork();
}
int workload_open_terminal(void) { return open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC); }
uint32_t workload_inner_pid(pid_t pid) { return pid; }
int workload_root(void) { return root_fd; }
int first_enter(bool terminal, struct failure *failure) {
  (void)terminal, (void)failure;
  return 0;
}
int workload_join(struct failure *failure) {
  (void)failure;
  return 0;
}
int workload_set_clock(uint64_t now) {
  (void)now;
  return 0;
}
int rehearse(struct reader *fields, struct failure *failure) {
  (void)fields, (void)failure;
  return 0;
}
int identity_freeze(unsigned mode, struct failure *failure) {
  (void)mode, (void)failure;
  return 0;
}
int identity_thaw(struct reader *fields, struct failure *failure) {
  (void)fields, (void)failure;
  return 0;
}
void workload_take_down(void) {}

// As if the interface were new: down, with the name that it had.
static int harness_reset_card(int index, unsigned place) {
  struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_change = IFF_UP};
  struct netlink_message message;
  char name[CARDS_NAME];
  int length = snprintf(name, sizeof name, "card%u", place);
  netlink_begin(&message, RTM_NEWLINK, 0, &link, sizeof link);
  netlink_add(&message, IFLA_IFNAME, name, length + 1);
  return netlink_ask(&message);
}

// The machine's cards are interfaces that the test has made, if any.
static unsigned card_index[CARDS_MAXIMUM];
int cards_bind(unsigned place, char name[CARDS_NAME], struct failure *failure) {
  snprintf(name, CARDS_NAME, "card%u", place);
  card_index[place] = if_nametoindex(name);
  return card_index[place] ? 0 : fail(failure, RESULT_INVALID, "the machine has no network card %u", place);
}
int cards_unbind(unsigned place, struct failure *failure) {
  (void)failure;
  return harness_reset_card(card_index[place], place);
}
int mounts_rewrite_file(const char *path, const char *content, size_t length, struct failure *failure) {
  (void)content, (void)length;
  return fail(failure, RESULT_INVALID, "%s is no file of the daemon's", path);
}
void workload_serve_files(void) { _exit(0); }
int cgroup_freeze(bool frozen) {
  (void)frozen;
  return 0;
}
bool cgroup_out_of_memory(void) { return false; }
void cgroup_usage(struct cgroup_usage *usage) { *usage = (struct cgroup_usage){1, 2, 3}; }

int setgroups(size_t count, const gid_t *groups) {
  (void)count, (void)groups;
  return 0;
}
int clock_settime(clockid_t clock, const struct timespec *time) {
  (void)clock, (void)time;
  return 0;
}

int prctl(int option, ...) {
  (void)option;
  return 0;
}
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
  (void)resource, (void)limit;
  return 0;
}

static bool pass_on(const uint8_t *data, size_t length) {
  while (length > 0) {
    ssize_t put = write(1, data, length);
    if (put < 0) return false;
    data += put, length -= put;
  }
  return true;
}

// One round of the agent's own loop (serve in ../agent/main.c), and what it answers.
static bool turn(int socket) {
  static uint8_t answers[65536];
  port_read(requests_handle);
  processes_reap();
  processes_settle();
  while (processes_send() && port_has_room()) port_flush();
  port_flush();
  for (;;) {
    ssize_t got = recv(socket, answers, sizeof answers, MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN;
    if (!pass_on(answers, got)) return false;
  }
}

// False once the input has ended.
static bool relay(int socket) {
  static uint8_t data[8192];
  ssize_t got = read(0, data, sizeof data);
  for (ssize_t at = 0; at < got;) {
    ssize_t put = send(socket, data + at, got - at, MSG_DONTWAIT);
    if (put > 0) at += put;
    if (!turn(socket)) return false;
  }
  return got > 0;
}

int main(void) {
  static struct pollfd polls[1 + LIMIT_PROCESSES * POLLS_PER_PROCESS];
  int ends[2];
  signal(SIGPIPE, SIG_IGN);
  root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0) return 2;
  port_fd = ends[0];
  connected = true;
  do {
    polls[0] = (struct pollfd){.fd = 0, .events = POLLIN};
    size_t count = processes_poll(polls + 1);
    // There is no signal here that says that a process has ended.
    poll(polls, 1 + count, 20);
    processes_polled(polls + 1);
  } while (turn(ends[1]) && (!polls[0].revents || relay(ends[1])));
  port_drop_queue();
  return 0;
}
