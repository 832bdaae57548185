#include "identity.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "files.h"
#include "mounts.h"
#include "network.h"
#include "protocol.h"
#include "workload.h"

#define BOOT_ID_FILE "/boot-id"
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

enum { GO_ON, STAND_STILL, STAND_STILL_SURELY, STAND_STILL_WRITTEN };

int identity_freeze(unsigned mode, struct failure *failure) {
  if (cgroup_freeze(mode != GO_ON) < 0) return fail_errno(failure, "cannot freeze the workload");
  if (mode <= STAND_STILL) return 0;
  if (!cgroup_is_frozen()) {
    cgroup_freeze(false);
    return fail(failure, RESULT_FAILED, "its processes do not come to rest");
  }
  if (mode == STAND_STILL_WRITTEN) sync();
  return 0;
}

// A random UUID (RFC 9562, version 4).
static int write_boot_id(void) {
  unsigned char id[16];
  if (getrandom(id, sizeof id, 0) != sizeof id) return -1;
  id[6] = (id[6] & 0x0f) | 0x40;
  id[8] = (id[8] & 0x3f) | 0x80;
  char text[38], *at = text;
  for (size_t i = 0; i < sizeof id; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *at++ = '-';
    at += sprintf(at, "%02x", id[i]);
  }
  *at++ = '\n';
  return create_file(BOOT_ID_FILE, text, at - text);
}

// In a child: the names that only the workload's own name spaces have.
static int enter_names(const char *hostname, int boot_id, struct failure *failure) {
  if (workload_join(failure) < 0) return -1;
  if (sethostname(hostname, strlen(hostname)) < 0) return fail_errno(failure, "cannot set the host name");
  if (boot_id < 0) return 0;
  return syscall(SYS_move_mount, boot_id, "", AT_FDCWD, BOOT_ID, MOVE_MOUNT_F_EMPTY_PATH) < 0
             ? fail_errno(failure, "cannot set the boot id")
             : 0;
}

static int set_names(const char *hostname, struct failure *failure) {
  // The kernel keeps the boot id that was drawn: the workload gets a file over it, which every further copy rewrites.
  static bool bound;
  cleanup_close int tree = -1;
  if (write_boot_id() < 0) return fail_errno(failure, "cannot make a boot id");
  if (!bound) {
    tree = syscall(SYS_open_tree, AT_FDCWD, BOOT_ID_FILE, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0) return fail_errno(failure, "cannot make a boot id");
  }
  pid_t child = fork();
  if (child < 0) return fail_errno(failure, "cannot make a process");
  if (child == 0) {
    struct failure own = {0};
    if (enter_names(hostname, tree, &own) == 0) _exit(0);
    console("another identity: %s", own.message);
    _exit(1);
  }
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (status != 0) return fail(failure, RESULT_FAILED, "cannot change the workload's names");
  bound = true;
  return 0;
}

static int take_identity(struct reader *fields, struct failure *failure) {
  cleanup_free char *hostname = read_string(fields, NULL);
  if (fields->bad) return fail(failure, RESULT_INVALID, "the request is malformed");
  if (set_names(hostname, failure) < 0) return -1;
  if (workload_new_machine_id(failure) < 0) return -1;
  size_t count = read_number(fields, 4);
  for (size_t i = 0; i < count && !fields->bad; i++) {
    cleanup_free char *path = read_string(fields, NULL);
    size_t length;
    cleanup_free char *content = read_string(fields, &length);
    if (!fields->bad && mounts_rewrite_file(path, content, length, failure) < 0) return -1;
  }
  return network_apply(fields, failure);
}

int identity_thaw(struct reader *fields, struct failure *failure) {
  uint64_t now = read_number(fields, 8);
  size_t seed_length;
  cleanup_free char *seed = read_string(fields, &seed_length);
  bool another = read_number(fields, 1) != 0;
  if (fields->bad || seed_length > 4096) return fail(failure, RESULT_INVALID, "the request is malformed");
  if (workload_set_clock(now) < 0) return fail_errno(failure, "cannot set the clock");
  if (workload_seed(seed, seed_length) < 0) return fail_errno(failure, "cannot seed the random numbers");
  if (another && take_identity(fields, failure) < 0) return -1;
  return cgroup_freeze(false) < 0 ? fail_errno(failure, "cannot let the workload go on") : 0;
}
