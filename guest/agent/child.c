#include "child.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "files.h"
#include "first.h"
#include "protocol.h"
#include "users.h"
#include "workload.h"

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

static const char *find_variable(char **env, const char *name) {
  size_t length = strlen(name);
  for (; *env; env++)
    if (strncmp(*env, name, length) == 0 && (*env)[length] == '=') return *env + length + 1;
  return NULL;
}

static char **add_variable(char **env, const char *name, const char *value) {
  if (find_variable(env, name)) return env;
  size_t count = 0;
  while (env[count]) count++;
  char **longer = must_allocate((count + 2) * sizeof *longer);
  memcpy(longer, env, count * sizeof *env);
  if (asprintf(&longer[count], "%s=%s", name, value) < 0) abort();
  return longer;
}

static void reset_signals(void) {
  for (int signal_number = 1; signal_number < NSIG; signal_number++) signal(signal_number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_standard_streams(struct child_plan *plan, struct failure *failure) {
  if (setsid() < 0) return fail_errno(failure, "cannot make a session");
  // Above the standard streams, so that none of them overwrites what is still to be copied.
  for (int i = 0; i < 3; i++) plan->standard[i] = fcntl(plan->standard[i], F_DUPFD, 3);
  plan->report_fd = fcntl(plan->report_fd, F_DUPFD_CLOEXEC, 3);
  for (int i = 0; i < 3; i++)
    if (dup2(plan->standard[i], i) < 0) return fail_errno(failure, "cannot set up the standard streams");
  if (plan->terminal && ioctl(0, TIOCSCTTY, 0) < 0) return fail_errno(failure, "cannot take the terminal");
  if (syscall(SYS_close_range, 3, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */) < 0)
    return fail_errno(failure, "cannot close descriptors");
  return 0;
}

static int make_directories(const char *path) {
  cleanup_free char *copy = strdup(path);
  for (char *at = copy; at && *at;) {
    at += strspn(at, "/");
    at += strcspn(at, "/");
    char saved = *at;
    *at = 0;
    if (mkdir(copy, 0755) < 0 && errno != EEXIST) return -1;
    *at = saved;
  }
  return copy ? 0 : -1;
}

static int fail_directory(const char *path, struct failure *failure) {
  fail_errno(failure, "%s", path);
  const char *reason = strerror(errno);
  return fail(failure, RESULT_WORKING_DIRECTORY, "%s", reason);
}

// The program keeps no capability outside the set; one that is not root's keeps none effective.
static int drop_privileges(const struct identity *identity, uint64_t capabilities, struct failure *failure) {
  for (int capability = 0; capability < 64; capability++) {
    if (capabilities >> capability & 1) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno != EINVAL)
      return fail_errno(failure, "cannot drop a capability");
  }
  if (setgroups(identity->group_count, identity->groups) < 0 ||
      setresgid(identity->gid, identity->gid, identity->gid) < 0 ||
      setresuid(identity->uid, identity->uid, identity->uid) < 0)
    return fail_errno(failure, "cannot become user %u", identity->uid);
  return 0;
}

static int limit_capabilities(uint64_t capabilities, struct failure *failure) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) < 0) return fail_errno(failure, "cannot read capabilities");
  for (int i = 0; i < 2; i++) {
    uint32_t part = capabilities >> (32 * i);
    data[i].permitted &= part;
    data[i].effective &= part;
    data[i].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, data) < 0) return fail_errno(failure, "cannot set capabilities");
  return 0;
}

static int execute(struct child_plan *plan, const char *path, struct failure *failure) {
  struct stat status;
  if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
    return fail(failure, RESULT_COMMAND_NOT_EXECUTABLE, "is a directory");
  execve(path, plan->args, plan->env);
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ENAMETOOLONG)
    return fail(failure, RESULT_COMMAND_NOT_FOUND, "no such file or directory");
  if (errno == EACCES || errno == EPERM || errno == EISDIR)
    return fail(failure, RESULT_COMMAND_NOT_EXECUTABLE, "it is not executable");
  if (errno == ENOEXEC) return fail(failure, RESULT_COMMAND_NOT_EXECUTABLE, "exec format error");
  return fail_errno(failure, "exec %s", plan->args[0]);
}

static int execute_in_path(struct child_plan *plan, struct failure *failure) {
  const char *name = plan->args[0];
  if (strchr(name, '/')) return execute(plan, name, failure);
  fail(failure, RESULT_COMMAND_NOT_FOUND, "executable file not found");
  if (!*name) return -1;
  const char *path = find_variable(plan->env, "PATH");
  struct failure attempt;
  for (const char *at = path ? path : default_path; at;) {
    size_t length = strcspn(at, ":");
    cleanup_free char *file = NULL;
    if (asprintf(&file, "%.*s/%s", length ? (int)length : 1, length ? at : ".", name) < 0) abort();
    at = at[length] ? at + length + 1 : NULL;
    struct stat status;
    if (stat(file, &status) < 0 || S_ISDIR(status.st_mode)) continue;
    execute(plan, file, &attempt);
    // The first thing that is there but does not run is what the message is about, unless a later one runs.
    if (failure->result == RESULT_COMMAND_NOT_FOUND) *failure = attempt;
    if (attempt.result == RESULT_FAILED) break;
  }
  return -1;
}

int child_read_plan(struct child_plan *plan, struct child_terms *terms, struct reader *fields, struct failure *failure) {
  plan->fields = *fields;
  plan->args = read_strings(fields);
  plan->env = read_strings(fields);
  plan->cwd = read_string(fields, NULL);
  plan->user = read_string(fields, NULL);
  plan->capabilities = read_number(fields, 8);
  plan->terminal = read_number(fields, 1) != 0;
  terms->has_input = read_number(fields, 1) != 0;
  terms->columns = read_number(fields, 2);
  terms->rows = read_number(fields, 2);
  plan->fields.end = fields->at;
  return fields->bad || !plan->args[0] ? fail(failure, RESULT_INVALID, "the start request is malformed") : 0;
}

static int run(struct child_plan *plan, struct failure *failure) {
  reset_signals();
  // The agent is the last to be killed for memory, what it starts is not.
  if (write_file("/proc/self/oom_score_adj", "0") < 0) return fail_errno(failure, "cannot set the memory score");
  if (set_standard_streams(plan, failure) < 0) return -1;
  if ((plan->main ? first_enter(plan->terminal, failure) : workload_join(failure)) < 0) return -1;
  cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  static struct identity identity;
  if (users_resolve(root, plan->user, &identity, failure) < 0) return -1;
  if (make_directories(plan->cwd) < 0) return fail_directory(plan->cwd, failure);
  if (plan->terminal && fchown(0, identity.uid, -1) < 0) return fail_errno(failure, "cannot give away the terminal");
  struct rlimit files = {.rlim_cur = 1024, .rlim_max = 524288};
  if (setrlimit(RLIMIT_NOFILE, &files) < 0) return fail_errno(failure, "cannot set limits");
  if (drop_privileges(&identity, plan->capabilities, failure) < 0) return -1;
  if (chdir(plan->cwd) < 0) return fail_directory(plan->cwd, failure);
  if (limit_capabilities(plan->capabilities, failure) < 0) return -1;
  plan->env = add_variable(plan->env, "HOME", identity.home);
  if (plan->terminal) plan->env = add_variable(plan->env, "TERM", "xterm");
  return execute_in_path(plan, failure);
}

// Outside of the workload's group, whose limits and freezing do not concern it; the first to go when memory is short.
static void run_files(struct child_plan *plan, struct failure *failure) {
  reset_signals();
  signal(SIGPIPE, SIG_IGN);
  if (write_file("/proc/self/oom_score_adj", "1000") < 0 || set_standard_streams(plan, failure) < 0) return;
  syscall(SYS_close_range, 3, ~0u, 0);
  workload_serve_files();
}

void child_run(struct child_plan *plan) {
  struct failure failure = {.result = RESULT_FAILED};
  plan->files ? run_files(plan, &failure) : (void)run(plan, &failure);
  struct child_report report = {.result = failure.result};
  snprintf(report.message, sizeof report.message, "%.*s", (int)sizeof report.message - 1, failure.message);
  if (write(plan->report_fd, &report, sizeof report) < 0) _exit(126);
  _exit(127);
}
