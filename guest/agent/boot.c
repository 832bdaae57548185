#include "boot.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "clock.h"
#include "common.h"
#include "files.h"
#include "generation.h"
#include "spaces.h"

static int load_module(const char *name) {
  char path[160];
  snprintf(path, sizeof path, "/modules/%s", name);
  cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0) {
    console("cannot load the module %s: %s", name, strerror(errno));
    return -1;
  }
  // The initramfs is memory.
  unlink(path);
  return 0;
}

// A list names modules in the order of their dependencies.
static int load_modules(const char *list_path) {
  cleanup_file FILE *list = fopen(list_path, "re");
  char name[128];
  while (list && fgets(name, sizeof name, list)) {
    name[strcspn(name, "\n")] = 0;
    if (load_module(name) < 0) return -1;
  }
  return list ? 0 : -1;
}

static int mount_at(const char *type, const char *target, unsigned long flags, const char *data) {
  if (mkdir(target, 0755) < 0 && errno != EEXIST) return -1;
  if (mount(type, target, type, flags, data) == 0 || errno == EBUSY) return 0;
  console("cannot mount %s: %s", target, strerror(errno));
  return -1;
}

// The kernel's first root cannot be given to pivot_root as the old root, a tmpfs mounted over it can.
static int move_root(void) {
  if (mount_at("tmpfs", "/base", 0, "mode=755") < 0) return -1;
  if (chdir("/base") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0) return -1;
  return 0;
}

int boot(void) {
  umask(022);
  // A process of the workload that sees a child of the agent before its exec must not look into it.
  if (prctl(PR_SET_DUMPABLE, 0) < 0) return -1;
  if (load_modules("/modules/list") < 0) return -1;
  if (mount_at("sysfs", "/sys", 0, NULL) < 0) return -1;
  // The drivers of network cards and of the share are there, but have no device until it is used (virtio.h): an
  // unused one costs nothing, and a copy of a template gets what is behind it there.
  if (write_file("/sys/bus/virtio/drivers_autoprobe", "0") < 0 || load_modules("/modules/later") < 0) return -1;
  if (umount2("/sys", 0) < 0 || move_root() < 0) return -1;
  const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount_at("proc", "/proc", safe, NULL) < 0 || mount_at("sysfs", "/sys", safe, NULL) < 0) return -1;
  if (mount_at("devtmpfs", "/dev", MS_NOSUID | MS_NOEXEC, NULL) < 0) return -1;
  if (mount_at("cgroup2", "/sys/fs/cgroup", safe, NULL) < 0) return -1;
  write_file("/proc/self/oom_score_adj", "-1000");
  if (clock_check() < 0) console("the clock stays wrong: %s", strerror(errno));
  if (generation_hold() < 0) return -1;
  // Nobody waits for large pieces of memory here; the kernel would wake up twice a second to make some.
  write_file("/proc/sys/vm/compaction_proactiveness", "0");
  return spaces_prepare();
}
