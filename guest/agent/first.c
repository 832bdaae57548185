#include "first.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "mounts.h"
#include "spaces.h"

// What is passed beside the plan: the standard streams, the pipe for the report, the root.
enum { passed_report = 3, passed_root = 4, passed_count = 5 };

static int orders = -1;  // the agent's end of the socket

static struct {
  struct mounts_entry entry;
  char *hostname;
  bool read_only, alone;
  int root;
} own;

static int send_all(int fd, const uint8_t *data, size_t length) {
  while (length > 0) {
    ssize_t put = send(fd, data, length, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -1;
    data += put, length -= put;
  }
  return 0;
}

// The length of what follows, with the descriptors.
static int send_header(uint32_t length, const int passed[passed_count]) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(passed_count * sizeof(int))];
  } control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(passed_count * sizeof(int))}};
  memcpy(CMSG_DATA(&control.header), passed, passed_count * sizeof *passed);
  struct iovec part = {.iov_base = &length, .iov_len = sizeof length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  return sendmsg(orders, &message, MSG_NOSIGNAL) == sizeof length ? 0 : -1;
}

static int receive_header(int fd, uint32_t *length, int passed[passed_count]) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(passed_count * sizeof(int))];
  } control = {0};
  struct iovec part = {.iov_base = length, .iov_len = sizeof *length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) != sizeof *length) return -1;
  if (control.header.cmsg_len != CMSG_LEN(passed_count * sizeof *passed)) return -1;
  memcpy(passed, CMSG_DATA(&control.header), passed_count * sizeof *passed);
  return 0;
}

int first_start(const struct child_plan *plan, const struct first_terms *terms) {
  struct writer order cleanup_writer = {0};
  int passed[passed_count] = {plan->standard[0], plan->standard[1], plan->standard[2]};
  passed[passed_report] = plan->report_fd;
  passed[passed_root] = terms->root;
  write_string(&order, terms->hostname);
  write_number(&order, terms->read_only, 1);
  write_number(&order, terms->alone, 1);
  write_bytes(&order, plan->fields.at, plan->fields.end - plan->fields.at);
  int sent = send_header(order.used, passed) < 0 ? -1 : send_all(orders, order.data, order.used);
  close(orders);
  orders = -1;
  return sent;
}

static int follow_orders(int fd) {
  uint32_t length;
  int passed[passed_count];
  if (receive_header(fd, &length, passed) < 0) return -1;
  uint8_t *data = must_allocate(length);
  if (recv(fd, data, length, MSG_WAITALL) != (ssize_t)length) return -1;
  close(fd);
  struct reader fields = {.at = data, .end = data + length};
  own.hostname = read_string(&fields, NULL);
  own.read_only = read_number(&fields, 1) != 0;
  own.alone = read_number(&fields, 1) != 0;
  own.root = passed[passed_root];
  struct child_plan plan = {.main = true, .standard = {passed[0], passed[1], passed[2]}, .report_fd = passed[passed_report]};
  struct child_terms terms;
  struct failure failure;
  if (child_read_plan(&plan, &terms, &fields, &failure) < 0) return -1;
  child_run(&plan);
}

int first_enter(bool terminal, struct failure *failure) {
  if (sethostname(own.hostname, strlen(own.hostname)) < 0)
    return fail_errno(failure, "cannot set the host name %s", own.hostname);
  if (own.alone && spaces_enter_lone() < 0) return fail_errno(failure, "cannot leave the network");
  return mounts_enter(&own.entry, &(struct mounts_terms){own.root, own.read_only, own.alone, terminal}, failure);
}

pid_t first_make(int group) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return -1;
  struct clone_args arguments = {
      .flags = CLONE_INTO_CGROUP | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC,
      .exit_signal = SIGCHLD,
      .cgroup = group,
  };
  pid_t pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid != 0) {
    orders = ends[1];
    close(ends[0]);
    return pid;
  }
  // Numbers below three are the standard streams' to be.
  int fd = fcntl(ends[0], F_DUPFD_CLOEXEC, 3);
  close(ends[0]);
  close(ends[1]);
  if (fd >= 0 && unshare(CLONE_NEWCGROUP) == 0 && mounts_prepare_entry(&own.entry) == 0) follow_orders(fd);
  console("the first process cannot go on: %s", strerror(errno));
  _exit(1);
}
