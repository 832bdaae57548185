#include "shares.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "mounts.h"
#include "protocol.h"
#include "virtio.h"

#define SHARE "/share"

enum kind { kind_share = 0, kind_tmpfs = 1 };
enum flag {
  flag_read_only = 1,
  flag_no_set_uid = 2,
  flag_no_devices = 4,
  flag_no_execution = 8,
  flag_no_access_times = 16,
  flag_no_directory_access_times = 32,
};

static int share_fd = -1;

// The share is mounted at its first use: nothing of it costs a machine that has no volumes anything.
static int open_share(struct failure *failure) {
  char device[VIRTIO_NAME];
  if (share_fd >= 0) return 0;
  if (virtio_find(VIRTIO_9P, 0, device) < 0 || virtio_bind("9pnet_virtio", device) < 0)
    return fail_errno(failure, "the machine has no share");
  if (mkdir(SHARE, 0755) < 0 && errno != EEXIST) return fail_errno(failure, "cannot make " SHARE);
  // cache=mmap: files can be mapped and written to (databases do), everything else goes to the host at once.
  if (mount("share", SHARE, "9p", 0, "trans=virtio,version=9p2000.L,msize=262144,cache=mmap") < 0)
    return fail_errno(failure, "cannot mount the share");
  share_fd = open(SHARE, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return share_fd < 0 ? fail_errno(failure, "cannot open the share") : 0;
}

static uint64_t attributes_of(uint32_t flags) {
  uint64_t attributes = 0;
  if (flags & flag_read_only) attributes |= MOUNT_ATTR_RDONLY;
  if (flags & flag_no_set_uid) attributes |= MOUNT_ATTR_NOSUID;
  if (flags & flag_no_devices) attributes |= MOUNT_ATTR_NODEV;
  if (flags & flag_no_execution) attributes |= MOUNT_ATTR_NOEXEC;
  if (flags & flag_no_access_times) attributes |= MOUNT_ATTR_NOATIME;
  if (flags & flag_no_directory_access_times) attributes |= MOUNT_ATTR_NODIRATIME;
  return attributes;
}

// A mount that is nowhere yet: of a part of the share.
static int part_of_share(const char *source, struct failure *failure) {
  if (open_share(failure) < 0) return -1;
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
  cleanup_close int place = syscall(SYS_openat2, share_fd, *source ? source : ".", &how, sizeof how);
  int tree = place < 0 ? -1 : open_tree(place, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  return tree < 0 ? fail_errno(failure, "cannot open %s of the share", source) : tree;
}

// `options` as mount(8) has them: size=64m,mode=1777.
static int new_tmpfs(char *options, struct failure *failure) {
  cleanup_close int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
  if (context < 0) return fail_errno(failure, "cannot make a tmpfs");
  for (char *option; (option = strsep(&options, ","));) {
    if (!*option) continue;
    char *value = strchr(option, '=');
    if (value) *value++ = 0;
    if (fsconfig(context, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option, value, 0) < 0)
      return fail_errno(failure, "a tmpfs does not take the option %s", option);
  }
  if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
    return fail_errno(failure, "cannot make a tmpfs");
  int tree = fsmount(context, FSMOUNT_CLOEXEC, 0);
  return tree < 0 ? fail_errno(failure, "cannot make a tmpfs") : tree;
}

static int mount_one(int root, enum kind kind, const char *source, const char *target, uint32_t flags, char *options,
                     struct failure *failure) {
  cleanup_close int tree = kind == kind_tmpfs ? new_tmpfs(options, failure) : part_of_share(source, failure);
  struct stat status, there;
  if (tree < 0) return -1;
  if (fstat(tree, &status) < 0) return fail_errno(failure, "cannot look at %s", source);
  struct mount_attr attributes = {.attr_set = attributes_of(flags)};
  // When access times are kept is one choice of three: another takes the place of the one there is.
  if (flags & flag_no_access_times) attributes.attr_clr = MOUNT_ATTR__ATIME;
  cleanup_close int place = mounts_open_target(root, target, S_ISDIR(status.st_mode));
  bool wrong_kind = place < 0 ? errno == ENOTDIR : fstat(place, &there) == 0 && S_ISDIR(there.st_mode) != S_ISDIR(status.st_mode);
  // Docker's words.
  if (wrong_kind)
    return fail(failure, RESULT_FAILED,
                "cannot mount %s: not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the "
                "specified host path exists and is the expected type",
                target);
  if (place < 0) return fail_errno(failure, "there is no place for a mount at %s", target);
  if (mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0 ||
      move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
    return fail_errno(failure, "cannot mount %s", target);
  return 0;
}

int shares_mount(int root, struct reader *fields, bool *any, struct failure *failure) {
  size_t count = read_number(fields, 4);
  *any = count > 0;
  for (size_t i = 0; i < count && !fields->bad; i++) {
    uint8_t kind = read_number(fields, 1);
    cleanup_free char *source = read_string(fields, NULL), *target = read_string(fields, NULL);
    uint32_t flags = read_number(fields, 4);
    cleanup_free char *options = read_string(fields, NULL);
    if (kind > kind_tmpfs) fields->bad = true;
    if (!fields->bad && mount_one(root, kind, source, target, flags, options, failure) < 0) return -1;
  }
  return fields->bad ? fail(failure, RESULT_INVALID, "the list of mounts is malformed") : 0;
}

void shares_take_down(void) {
  if (share_fd < 0) return;
  close(share_fd);
  share_fd = -1;
  umount2(SHARE, MNT_DETACH);
}
