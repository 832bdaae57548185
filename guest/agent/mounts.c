#include "mounts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "disks.h"
#include "files.h"
#include "protocol.h"
#include "spaces.h"

// The disk of a workload that has one already, and the file system that is there before a new workload is.
#define WRITABLE "/writable"
#define FRESH MOUNTS_FRESH
// What the image may lack and what is mounted over has to be: the lowest layer.
#define SKELETON "/skeleton"

static size_t layer_count;
static const char *writable = WRITABLE;

static int make_directory(const char *path, mode_t mode) { return mkdir(path, mode) < 0 && errno != EEXIST ? -1 : 0; }

// The overlay's root directory is the upper one: it starts as a copy of the image's.
static int copy_attributes(unsigned layers, const char *path) {
  char top[32];
  snprintf(top, sizeof top, "/l/%u", layers - 1);
  struct stat status;
  if (layers == 0) return 0;
  if (stat(top, &status) < 0) return -1;
  // It belongs to root as it was made. Whatever is the same costs no change of the disk.
  if ((status.st_uid || status.st_gid) && chown(path, status.st_uid, status.st_gid) < 0) return -1;
  if ((status.st_mode & 07777) != 0755 && chmod(path, status.st_mode & 07777) < 0) return -1;
  struct timespec times[2] = {status.st_atim, status.st_mtim};
  return utimensat(AT_FDCWD, path, times, 0);
}

static int mount_layers(unsigned layers, char *options, size_t size, struct failure *failure) {
  size_t used = snprintf(options, size, "lowerdir=");
  for (unsigned layer = layers; layer-- > 0;) {
    char serial[32], target[32];
    snprintf(serial, sizeof serial, "layer%u", layer);
    snprintf(target, sizeof target, "/l/%u", layer);
    const char *device = disks_find(serial);
    if (!device) return fail_errno(failure, "the disk of layer %u is missing", layer);
    if (mount(device, target, "erofs", MS_RDONLY, NULL) < 0)
      return fail_errno(failure, "cannot mount layer %u", layer);
    used += snprintf(options + used, size - used, "%s:", target);
    if (used > size - 128) return fail(failure, RESULT_FAILED, "%u layers are too many", layers);
  }
  snprintf(options + used, size - used, SKELETON ",upperdir=%s/upper,workdir=%s/work,redirect_dir=off,metacopy=off", writable,
           writable);
  return 0;
}

// The image of the disk is sparse: its inode tables are zero already, and freed blocks go back to the host.
static int mount_disk(const char *device, const char *target) {
  return mount(device, target, "ext4", MS_NOATIME, "noinit_itable,no_prefetch_block_bitmaps,discard");
}

static int prepare_skeleton(void) {
  static const char *directories[] = {"/dev", "/proc", "/sys", "/etc"};
  static const char *files[] = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"};
  char path[64];
  if (make_directory(SKELETON, 0755) < 0 || mount("tmpfs", SKELETON, "tmpfs", 0, "mode=755,size=64k") < 0) return -1;
  for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
    snprintf(path, sizeof path, SKELETON "%s", directories[i]);
    if (mkdir(path, 0755) < 0) return -1;
  }
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    snprintf(path, sizeof path, SKELETON "%s", files[i]);
    if (create_file(path, "", 0) < 0) return -1;
  }
  return mount(NULL, SKELETON, NULL, MS_REMOUNT | MS_RDONLY, "mode=755,size=64k");
}

// A new workload's disk is as mkfs made it, so it can be mounted before anything else is known.
static int prepare_fresh(void) {
  const char *device = disks_find("fresh");
  if (!device) return 0;
  if (make_directory(FRESH, 0755) < 0 || mount_disk(device, FRESH) < 0) return -1;
  if (make_directory(FRESH "/upper", 0755) < 0 || make_directory(FRESH "/work", 0755) < 0) return -1;
  sync();
  return 0;
}

static int mount_writable(unsigned layers, struct failure *failure) {
  const char *device = disks_find("writable");
  if (!device) return fail_errno(failure, "the writable disk is missing");
  if (mount_disk(device, WRITABLE) < 0) return fail_errno(failure, "cannot mount the writable disk");
  if (mkdir(WRITABLE "/upper", 0755) == 0) {
    if (copy_attributes(layers, WRITABLE "/upper") < 0) return fail_errno(failure, "cannot set up the writable disk");
  } else if (errno != EEXIST) {
    return fail_errno(failure, "cannot set up the writable disk");
  }
  return make_directory(WRITABLE "/work", 0755) < 0 ? fail_errno(failure, "cannot set up the writable disk") : 0;
}

int mounts_root(unsigned layers, bool fresh, struct failure *failure) {
  // The kernel takes one page of options.
  char options[4096];
  layer_count = layers;
  if (layers == 0) return fail(failure, RESULT_FAILED, "the image has no layers");
  if (fresh) {
    if (!disks_find("fresh")) return fail(failure, RESULT_INVALID, "the machine has no fresh disk");
    writable = FRESH;
  }
  if (mount_layers(layers, options, sizeof options, failure) < 0) return -1;
  if (fresh ? copy_attributes(layers, FRESH "/upper") < 0 : mount_writable(layers, failure) < 0)
    return fresh ? fail_errno(failure, "cannot set up the writable disk") : -1;
  if (mount("overlay", MOUNTS_ROOT, "overlay", 0, options) < 0)
    return fail_errno(failure, "cannot mount the root file system");
  return 0;
}

static int open_below(int root, const char *path, uint64_t flags, mode_t mode) {
  struct open_how how = {.flags = flags | O_CLOEXEC, .mode = flags & O_CREAT ? mode : 0, .resolve = RESOLVE_IN_ROOT};
  return syscall(SYS_openat2, root, path, &how, sizeof how);
}

int mounts_open_file(int root, const char *path, int flags) { return open_below(root, path, flags, 0); }

// Makes the directory `path` below `root` with its parents; symbolic links on the way stay below the root.
static int make_directories_below(int root, const char *path) {
  for (const char *name = path + strspn(path, "/"); *name;) {
    const char *end = name + strcspn(name, "/");
    cleanup_free char *parent = strndup(path, name - path), *own = strndup(name, end - name);
    if (!parent || !own) return -1;
    cleanup_close int fd = open_below(root, *parent ? parent : "/", O_PATH | O_DIRECTORY, 0);
    if (fd < 0 || (mkdirat(fd, own, 0755) < 0 && errno != EEXIST)) return -1;
    name = end + strspn(end, "/");
  }
  return 0;
}

static int open_directory_below(int root, const char *path) {
  int fd = open_below(root, path, O_PATH | O_DIRECTORY, 0);
  if (fd >= 0 || errno != ENOENT || make_directories_below(root, path) < 0) return fd;
  return open_below(root, path, O_PATH | O_DIRECTORY, 0);
}

static int mount_on(int fd, const char *source, const char *type, unsigned long flags, const char *data) {
  char target[64];
  snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
  return mount(source, target, type, flags, data);
}

static int populate_devices(const char *at) {
  static const struct {
    const char *name;
    unsigned minor, major;
  } devices[] = {{"null", 3, 1}, {"zero", 5, 1}, {"full", 7, 1}, {"random", 8, 1}, {"urandom", 9, 1}, {"tty", 0, 5}};
  static const char *links[][2] = {{"pts/ptmx", "ptmx"},
                                   {"/proc/self/fd", "fd"},
                                   {"/proc/self/fd/0", "stdin"},
                                   {"/proc/self/fd/1", "stdout"},
                                   {"/proc/self/fd/2", "stderr"},
                                   {"/proc/kcore", "core"}};
  char path[64];
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
    snprintf(path, sizeof path, "%s/%s", at, devices[i].name);
    if (mknod(path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)) < 0 || chmod(path, 0666) < 0) return -1;
  }
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
    snprintf(path, sizeof path, "%s/%s", at, links[i][1]);
    if (symlink(links[i][0], path) < 0) return -1;
  }
  return 0;
}

static int prepare_devices(void) {
  if (make_directory("/d", 0755) < 0 || mount("tmpfs", "/d", "tmpfs", MS_NOSUID, "mode=755,size=65536k") < 0 ||
      populate_devices("/d") < 0 || mkdir("/d/pts", 0755) < 0 || mkdir("/d/shm", 0755) < 0 ||
      mkdir("/d/mqueue", 0755) < 0)
    return -1;
  if (mount("devpts", "/d/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5") < 0 ||
      mount("shm", "/d/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=65536k") < 0)
    return -1;
  return 0;
}

static int prepare_layers(void) {
  char serial[32], path[32];
  if (make_directory("/l", 0755) < 0) return -1;
  for (unsigned layer = 0; snprintf(serial, sizeof serial, "layer%u", layer), disks_find(serial); layer++) {
    snprintf(path, sizeof path, "/l/%u", layer);
    if (mkdir(path, 0755) < 0) return -1;
  }
  return 0;
}

int mounts_prepare(void) {
  disks_prepare();
  // What is mounted is nobody's but its own name space's: nothing has to be told of it.
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -1;
  if (make_directory(WRITABLE, 0755) < 0 || make_directory(MOUNTS_ROOT, 0755) < 0 || make_directory(MOUNTS_FILES, 0755) < 0)
    return -1;
  return prepare_layers() < 0 || prepare_skeleton() < 0 || prepare_devices() < 0 ? -1 : prepare_fresh();
}

int mounts_devices(int root, struct failure *failure) {
  cleanup_close int terminals = open("/d/pts", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  cleanup_close int target = open_directory_below(root, "/dev");
  if (terminals < 0 || target < 0 || mount_on(target, "/d", NULL, MS_MOVE, NULL) < 0)
    return fail_errno(failure, "cannot mount /dev");
  return steal_fd(&terminals);
}

// Opens the file at `path`, made if it is missing; a dangling link's directories are made too.
static int open_target(int root, const char *path) {
  int fd = open_below(root, path, O_PATH, 0);
  if (fd >= 0 || errno != ENOENT) return fd;
  fd = open_below(root, path, O_RDONLY | O_CREAT | O_NONBLOCK | O_NOCTTY, 0644);
  if (fd >= 0 || errno != ENOENT) return fd;
  char parent[512], link[512];
  snprintf(parent, sizeof parent, "%s", path);
  char *slash = strrchr(parent, '/');
  if (!slash) return -1;
  *slash = 0;
  cleanup_close int directory = open_directory_below(root, *parent ? parent : "/");
  if (directory < 0) return -1;
  ssize_t length = readlinkat(directory, slash + 1, link, sizeof link - 1);
  if (length > 0) {
    link[length] = 0;
    char target[1100];
    snprintf(target, sizeof target, "%s/%s", link[0] == '/' ? "" : parent, link);
    char *end = strrchr(target, '/');
    *end = 0;
    cleanup_close int made = open_directory_below(root, *target ? target : "/");
    if (made < 0) return -1;
  }
  return open_below(root, path, O_RDONLY | O_CREAT | O_NONBLOCK | O_NOCTTY, 0644);
}

int mounts_open_target(int root, const char *path, bool directory) {
  return directory ? open_directory_below(root, path) : open_target(root, path);
}

// Where the files that were bound are in the image; the content of number n is in MOUNTS_FILES/n.
static struct {
  char **paths;
  size_t count;
} bound;

static void remember(const char *path) {
  char **paths = realloc(bound.paths, (bound.count + 1) * sizeof *paths);
  if (!paths || !(paths[bound.count] = strdup(path))) abort();
  bound.paths = paths;
  bound.count++;
}

int mounts_bind_file(int root, const char *path, const char *content, size_t length, struct failure *failure) {
  char source[32];
  snprintf(source, sizeof source, MOUNTS_FILES "/%zu", bound.count);
  if (create_file(source, content, length) < 0)
    return fail_errno(failure, "cannot make the content of %s", path);
  cleanup_close int target = open_target(root, path);
  if (target < 0 || mount_on(target, source, NULL, MS_BIND, NULL) < 0) return fail_errno(failure, "cannot bind %s", path);
  remember(path);
  return 0;
}

int mounts_rewrite_file(const char *path, const char *content, size_t length, struct failure *failure) {
  // The last one lies on top.
  for (size_t index = bound.count; index-- > 0;) {
    if (strcmp(bound.paths[index], path) != 0) continue;
    char source[32];
    snprintf(source, sizeof source, MOUNTS_FILES "/%zu", index);
    return create_file(source, content, length) < 0 ? fail_errno(failure, "cannot write %s", path) : 0;
  }
  return fail(failure, RESULT_INVALID, "%s is no file of the daemon's", path);
}

bool mounts_is_bound(const char *path) {
  for (size_t index = 0; index < bound.count; index++)
    if (strcmp(bound.paths[index], path) == 0) return true;
  return false;
}

int mounts_open_upper(void) {
  char path[32];
  snprintf(path, sizeof path, "%s/upper", writable);
  return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

const int *mounts_open_layers(void) {
  int *layers = must_allocate(layer_count * sizeof *layers);
  for (size_t i = 0; i < layer_count; i++) {
    char path[32];
    snprintf(path, sizeof path, "/l/%zu", layer_count - 1 - i);
    layers[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  return layers;
}

size_t mounts_layer_count(void) { return layer_count; }

// A new mount that is nowhere yet.
static int detached(const char *type) {
  cleanup_close int context = fsopen(type, FSOPEN_CLOEXEC);
  if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) return -1;
  return fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

// A descriptor that is none of the standard streams' numbers, which are still to be given away.
static int above_standard(int fd) {
  int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (fd >= 0) close(fd);
  return moved;
}

// The interfaces it shows are those of the network name space that it is made in.
static int detached_sys(void) {
  struct mount_attr closed = {.attr_set = MOUNT_ATTR_RDONLY};
  int sys = above_standard(detached("sysfs"));
  return sys < 0 || mount_setattr(sys, "", AT_EMPTY_PATH, &closed, sizeof closed) < 0 ? -1 : sys;
}

int mounts_prepare_entry(struct mounts_entry *entry) {
  struct mount_attr closed = {.attr_set = MOUNT_ATTR_RDONLY};
  entry->proc = above_standard(detached("proc"));
  entry->sys = detached_sys();
  entry->groups = above_standard(detached("cgroup2"));
  entry->queues = above_standard(detached("mqueue"));
  if (spaces_enter_lone() < 0) return -1;
  entry->lone_sys = detached_sys();
  return spaces_leave_lone() < 0 || entry->proc < 0 || entry->sys < 0 || entry->lone_sys < 0 || entry->queues < 0 ||
                 mount_setattr(entry->groups, "", AT_EMPTY_PATH, &closed, sizeof closed) < 0
             ? -1
             : 0;
}

int mounts_root_tree(void) {
  return open_tree(AT_FDCWD, MOUNTS_ROOT, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

static int move_here(int tree, const char *path, struct failure *failure) {
  if (move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0) return 0;
  // The image may have none.
  if (errno == ENOENT && make_directory(path, 0755) == 0 &&
      move_mount(tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0)
    return 0;
  return fail_errno(failure, "cannot mount %s", path);
}

int mounts_enter(const struct mounts_entry *entry, const struct mounts_terms *terms, struct failure *failure) {
  // With both arguments the same, the old root ends up on top of the new one and is let go of there.
  if (move_here(terms->root, MOUNTS_ROOT, failure) < 0) return -1;
  if (chdir(MOUNTS_ROOT) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
    return fail_errno(failure, "cannot enter the root file system");
  if (move_here(entry->proc, "/proc", failure) < 0 ||
      move_here(terms->alone ? entry->lone_sys : entry->sys, "/sys", failure) < 0 ||
      move_here(entry->groups, "/sys/fs/cgroup", failure) < 0 || move_here(entry->queues, "/dev/mqueue", failure) < 0)
    return -1;
  if (terms->terminal) {
    char name[64];
    if (ttyname_r(0, name, sizeof name) != 0 || create_file("/dev/console", "", 0) < 0 ||
        mount(name, "/dev/console", NULL, MS_BIND, NULL) < 0)
      return fail_errno(failure, "cannot bind /dev/console");
  }
  if (terms->read_only && mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
    return fail_errno(failure, "cannot make the root file system read-only");
  return 0;
}

void mounts_take_down(void) {
  umount2(MOUNTS_ROOT, MNT_DETACH);
  // What a process in an uninterruptible wait still holds can at least no longer be written to.
  if (umount2(writable, 0) < 0 && mount(NULL, writable, NULL, MS_REMOUNT | MS_RDONLY, NULL) < 0)
    console("cannot let go of the writable disk: %s", strerror(errno));
  sync();
}
