#include "rehearse.h"

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "disks.h"
#include "files.h"
#include "mounts.h"
#include "network.h"
#include "port.h"
#include "process.h"
#include "protocol.h"
#include "serve.h"
#include "workload.h"

// What the rehearsal has in the place of the workload's.
#define GROUP "/sys/fs/cgroup/rehearsal"
#define DISK MOUNTS_FRESH "/rehearsal"

enum { limit_seconds = 60, pause_milliseconds = 5, pauses = 1000, beside_handle = MAIN_HANDLE + 1 };

struct script {
  struct reader set_up, first, beside;
};

static struct reader read_part(struct reader *fields) {
  size_t length = read_number(fields, 4);
  struct reader part = {.at = fields->at, .end = fields->at + length};
  if (length > (size_t)(fields->end - fields->at)) fields->bad = true;
  if (fields->bad) return (struct reader){.bad = true};
  fields->at += length;
  return part;
}

static int make_places(void) {
  static const char *directories[] = {GROUP, DISK, DISK "/upper", DISK "/work"};
  for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
    if (mkdir(directories[i], 0755) < 0 && errno != EEXIST) return -1;
  return 0;
}

// What will be the workload's is covered, for this process and those that come of it.
static int cover(void) {
  return unshare(CLONE_NEWNS) < 0 || mount(GROUP, CGROUP_WORKLOAD, NULL, MS_BIND, NULL) < 0 ||
                 mount(DISK, MOUNTS_FRESH, NULL, MS_BIND, NULL) < 0 ||
                 mount("tmpfs", MOUNTS_FILES, "tmpfs", 0, "mode=755") < 0 || port_divert() < 0 ||
                 workload_make_first() < 0
             ? -1
             : 0;
}

static bool has_executed(const struct process *process) { return process->report_fd < 0; }
static bool has_ended(const struct process *process) { return process->exit_sent; }

// False when it could not be started.
static bool await_process(uint32_t handle, bool (*is_done)(const struct process *process)) {
  struct process *process;
  while ((process = process_find(handle)) && !is_done(process)) serve_turn(-1);
  return process;
}

static bool perform(struct script *script, struct failure *failure) {
  if (workload_set_up(&script->set_up, failure) < 0 || process_start(0, &script->first, failure) < 0) return false;
  fail(failure, RESULT_FAILED, "its program does not run");
  if (!await_process(MAIN_HANDLE, has_executed)) return false;
  if (process_start(0, &script->beside, failure) < 0) return false;
  if (!await_process(beside_handle, has_ended)) return false;
  process_forget(beside_handle);
  input_receive_end(&process_find(MAIN_HANDLE)->input, 0);
  if (!await_process(MAIN_HANDLE, has_ended)) return false;
  serve_turn(0);
  return true;
}

static void act(struct script *script) {
  struct failure failure;
  sigset_t alarm_only;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
  alarm(limit_seconds);
  if (cover() < 0) {
    console("cannot rehearse: %s", strerror(errno));
  } else {
    if (!perform(script, &failure)) console("the rehearsal failed: %s", failure.message);
    network_withdraw();
  }
  _exit(0);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk) {
  (void)status, (void)type, (void)walk;
  return remove(path);
}

static bool no_group(void) { return rmdir(GROUP) == 0 || errno == ENOENT; }

// Its file systems go a moment after the last of its processes.
static bool no_layers(void) {
  cleanup_close int fd = open(disks_find("layer0"), O_RDONLY | O_EXCL | O_CLOEXEC);
  return fd >= 0;
}

static bool await_condition(bool (*holds)(void)) {
  for (int tries = 0; !holds(); tries++) {
    if (tries == pauses) return false;
    usleep(pause_milliseconds * 1000);
  }
  return true;
}

int rehearse(struct reader *fields, struct failure *failure) {
  struct script script;
  script.set_up = read_part(fields);
  script.first = read_part(fields);
  script.beside = read_part(fields);
  if (fields->bad || !disks_find("fresh") || !disks_find("layer0"))
    return fail(failure, RESULT_INVALID, "the rehearsal has no script or no disks");
  pid_t child = make_places() < 0 ? -1 : fork();
  if (child == 0) act(&script);
  while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
  write_file(GROUP "/cgroup.kill", "1");
  if (!await_condition(no_group) || !await_condition(no_layers) ||
      nftw(DISK, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0)
    return fail_errno(failure, "something of the rehearsal is left");
  sync();
  return 0;
}
