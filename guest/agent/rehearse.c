#include "rehearse.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common.h"
#include "files.h"

#define PLACE "/rehearsal"

static void copy_program(const char *path) {
  cleanup_close int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  cleanup_close int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
  while (from >= 0 && to >= 0 && sendfile(to, from, NULL, 1 << 20) > 0) continue;
}

static void enter_root(void) {
  static const char *kinds[][2] = {{"proc", "proc"}, {"sysfs", "sys"}, {"cgroup2", "sys/fs/cgroup"}, {"tmpfs", "dev"}};
  if (mount("overlay", PLACE "/root", "overlay", 0,
            "lowerdir=" PLACE "/lower,upperdir=" PLACE "/upper,workdir=" PLACE "/work") < 0)
    return;
  if (chdir(PLACE "/root") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0) return;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    mkdir(kinds[i][1], 0755);
    mount(kinds[i][0], kinds[i][1], kinds[i][0], MS_NOSUID, NULL);
  }
  if (mkdir("dev/pts", 0755) == 0) mount("devpts", "dev/pts", "devpts", MS_NOSUID, "newinstance,ptmxmode=0666");
  create_file("file", PLACE, sizeof PLACE);
  write(STDOUT_FILENO, "", 0);
}

static void perform(void) {
  static const char *directories[] = {PLACE "/lower", PLACE "/upper", PLACE "/work", PLACE "/root"};
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return;
  if ((mkdir(PLACE, 0755) < 0 && errno != EEXIST) || mount("tmpfs", PLACE, "tmpfs", 0, "mode=755") < 0) return;
  for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) mkdir(directories[i], 0755);
  copy_program(PLACE "/lower/program");
  enter_root();
  execl("/program", "program", "rehearsal", NULL);
}

void rehearse(void) {
  pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID) < 0) _exit(1);
    pid_t first = fork();
    if (first == 0) {
      perform();
      _exit(1);
    }
    if (first > 0) waitpid(first, NULL, 0);
    _exit(0);
  }
  while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
}
