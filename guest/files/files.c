#include "files.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "../agent/fields.h"
#include "../agent/protocol.h"
#include "place.h"
#include "stream.h"
#include "walk.h"

// The root file system's own mount without those on top of it (/proc, /dev…), and on it those that are asked for.
static void enter_root(const char *root, char **mounts) {
  int tree = syscall(SYS_open_tree, AT_FDCWD, root, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) stop_errno("cannot reach the root file system");
  size_t count = 0;
  while (mounts[count]) count++;
  int *clones = must_allocate(count * sizeof *clones);
  // Its links are followed in the root, not here.
  cleanup_close int whole = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (whole < 0 || fchdir(whole) < 0 || (count && chroot(".") < 0)) stop_errno("cannot enter the root file system");
  for (size_t i = 0; i < count; i++) {
    clones[i] = syscall(SYS_open_tree, AT_FDCWD, mounts[i], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (clones[i] < 0) stop_errno("cannot reach what is mounted at %s", mounts[i]);
  }
  if (count && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                syscall(SYS_move_mount, tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0))
    stop_errno("cannot mount the root file system");
  if (fchdir(tree) < 0 || chroot(".") < 0) stop_errno("cannot enter the root file system");
  for (size_t i = 0; i < count; i++)
    if (syscall(SYS_move_mount, clones[i], "", AT_FDCWD, mounts[i], MOVE_MOUNT_F_EMPTY_PATH) < 0)
      stop_errno("cannot mount %s", mounts[i]);
  free(clones);
}

// What is left is what files need. Overlayfs' marks can be read by those only who might mount it.
static void drop_privileges(bool reads_marks) {
  static const int needed[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID, CAP_MKNOD, CAP_SETFCAP};
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {0};
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) data[0].permitted |= 1u << needed[i];
  if (reads_marks) data[0].permitted |= 1u << CAP_SYS_ADMIN;
  data[0].effective = data[0].permitted;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, data) < 0)
    stop_errno("cannot drop privileges");
}

// A process that descends holds one descriptor for each directory above it.
static void raise_limits(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) < 0) return;
  files.rlim_cur = files.rlim_max < 16384 ? files.rlim_max : 16384;
  setrlimit(RLIMIT_NOFILE, &files);
}

static void enter_upper(const struct files_places *places) {
  if (places->upper < 0) stop(FILES_FAILED, "there is no writable layer");
  if (fchdir(places->upper) < 0 || chroot(".") < 0) stop_errno("cannot enter the writable layer");
}

static void perform(const struct files_places *places, struct reader *fields) {
  uint8_t operation = read_number(fields, 1), flags = read_number(fields, 1);
  uint32_t uid = read_number(fields, 4), gid = read_number(fields, 4);
  char *path = read_string(fields, NULL), **mounts = read_strings(fields);
  if (fields->bad || *path != '/') stop(FILES_FAILED, "the request is malformed");
  bool is_layer = operation == FILES_LAYER || operation == FILES_CHANGES;
  if (places->own < 0) stop(FILES_FAILED, "there is no /proc");
  if (is_layer)
    enter_upper(places);
  else
    enter_root(places->root, mounts);
  // From here on there is nothing to be reached but the workload's files, and one's own descriptors from here.
  if (fchdir(places->own) < 0) stop_errno("cannot go to /proc/self/fd");
  raise_limits();
  umask(0);
  drop_privileges(is_layer);
  const struct place_options options = {
      .keep_kind = flags & FILES_KEEP_KIND, .give_owner = flags & FILES_GIVE_OWNER, .uid = uid, .gid = gid};
  switch (operation) {
    case FILES_STATUS:
      return walk_status(path);
    case FILES_READ:
      return walk_tree(path);
    case FILES_WRITE:
      place_entries(path, &options);
      if (places->durable) sync();
      return;
    case FILES_LAYER:
    case FILES_CHANGES:
      return walk_layer(places, operation == FILES_LAYER);
    default:
      stop(FILES_FAILED, "the operation %u is unknown", operation);
  }
}

void files_run(const struct files_places *places) {
  size_t length;
  const uint8_t *body = take_record(&length);
  if (!body) stop(FILES_FAILED, "there is no request");
  struct reader fields = {.at = body, .end = body + length};
  perform(places, &fields);
  flush_output();
  _exit(FILES_DONE);
}
