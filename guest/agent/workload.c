#include "workload.h"

#include <fcntl.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "../files/files.h"
#include "cgroup.h"
#include "first.h"
#include "mounts.h"
#include "network.h"
#include "protocol.h"
#include "shares.h"
#include "spaces.h"
#include "users.h"

static bool ready, read_only_root, alone;
static char *hostname;
static int root_fd = -1, terminals_fd = -1, group_fd = -1, init_fd = -1, own_pids_fd = -1, random_fd = -1;
static pid_t first_pid;

int workload_seed(const char *seed, size_t length) {
  cleanup_free struct rand_pool_info *pool = must_allocate(sizeof *pool + length);
  pool->entropy_count = length * 8;
  pool->buf_size = length;
  memcpy(pool->buf, seed, length);
  if (ioctl(random_fd, RNDADDENTROPY, pool) < 0) return -1;
  // A copy of a template draws the same numbers as its siblings until the new entropy is taken up.
  return ioctl(random_fd, RNDRESEEDCRNG, NULL);
}

int workload_set_clock(uint64_t now) {
  struct timespec clock = {.tv_sec = now / 1000000000, .tv_nsec = now % 1000000000};
  return clock_settime(CLOCK_REALTIME, &clock);
}

static int write_machine_id(bool empty, struct failure *failure) {
  const char *path = "/etc/machine-id";
  struct stat status;
  cleanup_close int found = mounts_open_file(root_fd, path, O_PATH | O_NOFOLLOW);
  if (found < 0 || fstat(found, &status) < 0 || !S_ISREG(status.st_mode) || (status.st_size == 0) != empty) return 0;
  cleanup_close int fd = mounts_open_file(root_fd, path, O_WRONLY | O_NOFOLLOW);
  if (fd < 0) return fail_errno(failure, "cannot open %s", path);
  unsigned char id[16];
  if (getrandom(id, sizeof id, 0) != sizeof id) return fail_errno(failure, "cannot make a machine id");
  // It has the form of a random UUID.
  id[6] = (id[6] & 0x0f) | 0x40;
  id[8] = (id[8] & 0x3f) | 0x80;
  char text[34];
  for (size_t i = 0; i < sizeof id; i++) snprintf(text + 2 * i, 3, "%02x", id[i]);
  text[32] = '\n';
  return write(fd, text, 33) == 33 && ftruncate(fd, 33) == 0 ? 0 : fail_errno(failure, "cannot write the machine id");
}

// An image that is to be given an identity at its first start has an empty file here (machine-id(5)).
static int set_machine_id(struct failure *failure) { return write_machine_id(true, failure); }
int workload_new_machine_id(struct failure *failure) { return write_machine_id(false, failure); }

static int set_up_files(struct reader *fields, bool mounted, struct failure *failure) {
  size_t count = read_number(fields, 4);
  for (size_t i = 0; i < count && !fields->bad; i++) {
    cleanup_free char *path = read_string(fields, NULL);
    size_t length;
    cleanup_free char *content = read_string(fields, &length);
    if (fields->bad) break;
    // One that was bound ahead may be below what is mounted since.
    int made = !mounted && mounts_is_bound(path) ? mounts_rewrite_file(path, content, length, failure)
                                                 : mounts_bind_file(root_fd, path, content, length, failure);
    if (made < 0) return -1;
  }
  return fields->bad ? fail(failure, RESULT_INVALID, "the set-up request is malformed") : 0;
}

// Without a network, the workload lives where there is none, whatever has been made ready.
static int set_up_network(struct reader *fields, struct failure *failure) {
  if (network_apply(fields, failure) < 0) return -1;
  if (network_is_used()) return network_parameters(fields, failure);
  alone = true;
  network_close();
  if (spaces_enter_lone() < 0) return fail_errno(failure, "cannot leave the network");
  int set = network_parameters(fields, failure);
  if (spaces_leave_lone() == 0) return set;
  console("cannot return to the agent's own network: %s", strerror(errno));
  abort();
}

int workload_make_first(void) {
  group_fd = cgroup_open();
  first_pid = group_fd < 0 ? -1 : first_make(group_fd);
  init_fd = first_pid < 0 ? -1 : syscall(SYS_pidfd_open, first_pid, 0);
  return init_fd < 0 ? -1 : 0;
}

int workload_prepare(void) {
  // The group may have what memory is left then.
  if (mounts_prepare() < 0 || network_prepare() < 0 || cgroup_prepare() < 0) return -1;
  own_pids_fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
  random_fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
  return own_pids_fd < 0 || random_fd < 0 ? -1 : workload_make_first();
}

static int make_root(unsigned layers, bool fresh, struct failure *failure) {
  if (mounts_root(layers, fresh, failure) < 0) return -1;
  root_fd = open(MOUNTS_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root_fd < 0) return fail_errno(failure, "cannot open the root file system");
  terminals_fd = mounts_devices(root_fd, failure);
  return terminals_fd < 0 ? -1 : 0;
}

// As much as the kernel is to keep of a program ahead.
enum { program_bytes = 8 * 1024 * 1024 };

static void read_program(const char *path) {
  static char part[65536];
  struct stat status;
  cleanup_close int fd = mounts_open_file(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) return;
  for (size_t got = 0; got < program_bytes;) {
    ssize_t more = read(fd, part, sizeof part);
    if (more <= 0) return;
    got += more;
  }
}

// Has the kernel know what every start looks at. In a process of its own, for what is read is the image's.
static void look_around(char **programs) {
  pid_t child = fork();
  if (child == 0) {
    static struct identity identity;
    struct failure failure;
    users_resolve(root_fd, "", &identity, &failure);
    close(mounts_open_file(root_fd, "/etc/machine-id", O_PATH | O_NOFOLLOW));
    for (char **path = programs; *path; path++) read_program(*path);
    _exit(0);
  }
  while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
}

int workload_prepare_root(struct reader *fields, struct failure *failure) {
  if (ready || hostname || root_fd >= 0) return fail(failure, RESULT_INVALID, "there is a root file system already");
  unsigned layers = read_number(fields, 4);
  char **paths = read_strings(fields), **programs = read_strings(fields);
  int made = fields->bad ? fail(failure, RESULT_INVALID, "the request is malformed") : make_root(layers, true, failure);
  for (char **path = paths; made == 0 && *path; path++) made = mounts_bind_file(root_fd, *path, "", 0, failure);
  if (made == 0) look_around(programs);
  free_strings(paths);
  free_strings(programs);
  if (made < 0) return -1;
  // A copy's disk is as it is now.
  sync();
  return 0;
}

int workload_set_up(struct reader *fields, struct failure *failure) {
  if (ready || hostname) return fail(failure, RESULT_INVALID, "the root file system is set up already");
  unsigned layers = read_number(fields, 4);
  hostname = read_string(fields, NULL);
  read_only_root = read_number(fields, 1) != 0;
  bool fresh = read_number(fields, 1) != 0;
  struct cgroup_limits limits = {.cpu_quota = read_number(fields, 4)};
  limits.pids = read_number(fields, 8);
  uint64_t now = read_number(fields, 8);
  bool mounted = false;
  size_t seed_length;
  cleanup_free char *seed = read_string(fields, &seed_length);
  if (fields->bad || seed_length > 4096) return fail(failure, RESULT_INVALID, "the set-up request is malformed");
  if (workload_set_clock(now) < 0) return fail_errno(failure, "cannot set the clock");
  if (workload_seed(seed, seed_length) < 0) return fail_errno(failure, "cannot seed the random numbers");
  if (root_fd >= 0 && (!fresh || layers != mounts_layer_count()))
    return fail(failure, RESULT_INVALID, "the root file system is another image's");
  if (root_fd < 0 && make_root(layers, fresh, failure) < 0) return -1;
  if (set_machine_id(failure) < 0 || shares_mount(root_fd, fields, &mounted, failure) < 0 ||
      set_up_files(fields, mounted, failure) < 0) return -1;
  if (set_up_network(fields, failure) < 0) return -1;
  if (cgroup_set_up(&limits, failure) < 0) return -1;
  ready = true;
  return 0;
}

bool workload_ready(void) { return ready; }
int workload_root(void) { return root_fd; }

int workload_open_terminal(void) { return openat(terminals_fd, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC); }

pid_t workload_start_first(const struct child_plan *plan) {
  cleanup_close int tree = mounts_root_tree();
  struct first_terms terms = {.hostname = hostname, .read_only = read_only_root, .alone = alone, .root = tree};
  return tree < 0 || first_start(plan, &terms) < 0 ? -1 : first_pid;
}

pid_t workload_clone(void) {
  struct clone_args arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = group_fd};
  // Joining a PID name space concerns the children to come, so the agent joins and comes back.
  if (setns(init_fd, CLONE_NEWPID) < 0) return -1;
  pid_t pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  int saved = errno;
  if (pid != 0 && setns(own_pids_fd, CLONE_NEWPID) < 0) {
    console("cannot return to the agent's own name space: %s", strerror(errno));
    abort();
  }
  errno = saved;
  return pid;
}

uint32_t workload_inner_pid(pid_t pid) {
  if (pid == first_pid) return 1;
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  cleanup_file FILE *file = fopen(path, "re");
  unsigned outer, inner = 0;
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "NSpid: %u %u", &outer, &inner) == 2) break;
  return inner;
}

int workload_join(struct failure *failure) {
  if (setns(init_fd, CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | (alone ? CLONE_NEWNET : 0)) < 0)
    return fail_errno(failure, "cannot join the workload");
  return 0;
}

void workload_serve_files(void) {
  // The agent's own name space has the root file system, whatever the workload mounted over it.
  const struct files_places places = {
      .own = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC),
      .root = MOUNTS_ROOT,
      .upper = mounts_open_upper(),
      .lowers = mounts_open_layers(),
      .lower_count = mounts_layer_count(),
      // The machine may be ended at any time.
      .durable = true,
  };
  files_run(&places);
}

void workload_take_down(void) {
  cgroup_kill();
  if (root_fd >= 0) close(root_fd);
  if (terminals_fd >= 0) close(terminals_fd);
  root_fd = terminals_fd = -1;
  mounts_take_down();
  shares_take_down();
}
