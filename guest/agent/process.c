#include "process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "cgroup.h"
#include "port.h"
#include "protocol.h"
#include "workload.h"

static struct process table[LIMIT_PROCESSES];
static uint32_t next_handle = 1;
static bool main_started, main_ended, write_back_due;

#define each_process(process)                                                                     \
  for (struct process *process = table; process < table + LIMIT_PROCESSES; process++) \
    if (process->state != PROCESS_FREE)

struct process *process_find(uint32_t handle) {
  each_process(process) if (process->handle == handle && !process->orphaned) return process;
  return NULL;
}

uint32_t process_next_handle(void) { return next_handle; }

uint8_t process_phase(void) {
  if (main_ended) return PHASE_ENDED;
  if (main_started) return PHASE_RUNNING;
  return workload_ready() ? PHASE_READY : PHASE_BOOTED;
}

uint64_t process_main_input(void) {
  struct process *process = process_find(MAIN_HANDLE);
  return process ? process->input.ring.end : 0;
}

static struct process *free_slot(void) {
  for (struct process *process = table; process < table + LIMIT_PROCESSES; process++)
    if (process->state == PROCESS_FREE) return process;
  return NULL;
}

static void release(struct process *process) {
  if (process->report_fd >= 0) close(process->report_fd);
  if (process->terminal_fd >= 0) close(process->terminal_fd);
  input_free(&process->input);
  output_free(&process->output[0]);
  output_free(&process->output[1]);
  process->state = PROCESS_FREE;
}

static int not_blocking(int fd) { return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

static int open_terminal(struct process *process, struct child_plan *plan, unsigned columns, unsigned rows,
                         struct failure *failure) {
  int master = workload_open_terminal();
  if (master < 0) return fail_errno(failure, "cannot open a terminal");
  process->terminal_fd = master;
  struct winsize size = {.ws_col = columns, .ws_row = rows};
  int unlocked = 0;
  if (ioctl(master, TIOCSPTLCK, &unlocked) < 0 || ioctl(master, TIOCSWINSZ, &size) < 0)
    return fail_errno(failure, "cannot set up a terminal");
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return fail_errno(failure, "cannot open a terminal's other end");
  plan->standard[0] = slave;
  plan->standard[1] = dup(slave);
  plan->standard[2] = dup(slave);
  int reader = fcntl(master, F_DUPFD_CLOEXEC, 3), writer = fcntl(master, F_DUPFD_CLOEXEC, 3);
  if (reader < 0 || writer < 0 || not_blocking(master) < 0) return fail_errno(failure, "cannot set up a terminal");
  output_open(&process->output[0], reader, process->handle == MAIN_HANDLE ? LIMIT_MAIN_WINDOW : LIMIT_EXEC_WINDOW);
  input_open(&process->input, writer);
  return 0;
}

static int open_pipes(struct process *process, struct child_plan *plan, struct failure *failure) {
  size_t window = process->handle == MAIN_HANDLE ? LIMIT_MAIN_WINDOW : LIMIT_EXEC_WINDOW;
  for (int i = 0; i < 2; i++) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return fail_errno(failure, "cannot make a pipe");
    plan->standard[1 + i] = ends[1];
    output_open(&process->output[i], ends[0], window);
    if (not_blocking(ends[0]) < 0) return fail_errno(failure, "cannot set up a pipe");
  }
  if (!process->has_input) {
    plan->standard[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return plan->standard[0] < 0 ? fail_errno(failure, "cannot open /dev/null") : 0;
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return fail_errno(failure, "cannot make a pipe");
  plan->standard[0] = ends[0];
  input_open(&process->input, ends[1]);
  return not_blocking(ends[1]) < 0 ? fail_errno(failure, "cannot set up a pipe") : 0;
}

static int launch(struct process *process, struct child_plan *plan, struct failure *failure) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) < 0) return fail_errno(failure, "cannot make a pipe");
  process->report_fd = report[0];
  cleanup_close int report_end = report[1];
  plan->report_fd = report_end;
  if (not_blocking(process->report_fd) < 0) return fail_errno(failure, "cannot set up a pipe");
  pid_t pid = plan->main ? workload_start_first(plan) : plan->files ? fork() : workload_clone();
  if (pid == 0) child_run(plan);
  if (pid < 0) return fail_errno(failure, "cannot make a process");
  process->pid = pid;
  process->state = PROCESS_STARTING;
  process->flowing = true;
  if (plan->main) main_started = true;
  return 0;
}

static int start(struct process *process, struct child_plan *plan, struct reader *fields, struct failure *failure) {
  struct child_terms terms;
  if (child_read_plan(plan, &terms, fields, failure) < 0) return -1;
  process->terminal = plan->terminal;
  process->has_input = terms.has_input;
  int opened = plan->terminal ? open_terminal(process, plan, terms.columns, terms.rows, failure)
                              : open_pipes(process, plan, failure);
  return opened < 0 ? -1 : launch(process, plan, failure);
}

int process_start(uint32_t request, struct reader *fields, struct failure *failure) {
  uint32_t handle = read_number(fields, 4);
  bool is_main = handle == MAIN_HANDLE;
  if (fields->bad || (is_main ? main_started : handle < next_handle))
    return fail(failure, RESULT_INVALID, "the handle %u is in use", handle);
  if (!workload_ready()) return fail(failure, RESULT_INVALID, "the root file system is not set up");
  if (!is_main && (!main_started || main_ended)) return fail(failure, RESULT_NO_SUCH_PROCESS, "the workload is not running");
  struct process *process = free_slot();
  if (!process) return fail(failure, RESULT_FAILED, "more than %d processes were started", LIMIT_PROCESSES);
  *process = (struct process){.handle = handle, .request = request, .report_fd = -1, .terminal_fd = -1};
  process->input.fd = process->output[0].fd = process->output[1].fd = -1;
  struct child_plan plan = {.main = is_main, .standard = {-1, -1, -1}, .report_fd = -1};
  int started = start(process, &plan, fields, failure);
  for (int i = 0; i < 3; i++)
    if (plan.standard[i] >= 0) close(plan.standard[i]);
  free_strings(plan.args);
  free_strings(plan.env);
  free(plan.cwd);
  free(plan.user);
  if (started < 0) release(process);
  if (started == 0 && !is_main) next_handle = handle + 1;
  return started;
}

int process_start_files(uint32_t request, struct reader *fields, struct failure *failure) {
  uint32_t handle = read_number(fields, 4);
  if (fields->bad || handle < next_handle) return fail(failure, RESULT_INVALID, "the handle %u is in use", handle);
  if (!workload_ready()) return fail(failure, RESULT_INVALID, "the root file system is not set up");
  struct process *process = free_slot();
  if (!process) return fail(failure, RESULT_FAILED, "more than %d processes were started", LIMIT_PROCESSES);
  *process = (struct process){.handle = handle, .request = request, .report_fd = -1, .terminal_fd = -1, .has_input = true};
  process->input.fd = process->output[0].fd = process->output[1].fd = -1;
  struct child_plan plan = {.files = true, .standard = {-1, -1, -1}, .report_fd = -1};
  int started = open_pipes(process, &plan, failure) < 0 ? -1 : launch(process, &plan, failure);
  for (int i = 0; i < 3; i++)
    if (plan.standard[i] >= 0) close(plan.standard[i]);
  if (started < 0) release(process);
  if (started == 0) next_handle = handle + 1;
  return started;
}

int process_signal(uint32_t handle, int signal, struct failure *failure) {
  struct process *process = process_find(handle);
  if (!process || process->state == PROCESS_EXITED || process->state == PROCESS_FREE)
    return fail(failure, RESULT_NO_SUCH_PROCESS, "the process has ended");
  if (kill(process->pid, signal) < 0) return fail_errno(failure, "cannot send signal %d", signal);
  return 0;
}

int process_resize(uint32_t handle, unsigned columns, unsigned rows, struct failure *failure) {
  struct process *process = process_find(handle);
  if (!process || process->terminal_fd < 0) return fail(failure, RESULT_NO_SUCH_PROCESS, "there is no terminal");
  struct winsize size = {.ws_col = columns, .ws_row = rows};
  if (ioctl(process->terminal_fd, TIOCSWINSZ, &size) < 0) return fail_errno(failure, "cannot resize the terminal");
  return 0;
}

void process_forget(uint32_t handle) {
  struct process *process = process_find(handle);
  if (process && process->state == PROCESS_EXITED && process->exit_sent) release(process);
}

void processes_disconnect(void) {
  each_process(process) {
    process->flowing = process->exit_sent = false;
    process->input.credit_sent = 0;
    if (process->handle == MAIN_HANDLE) continue;
    process->orphaned = true;
    input_close(&process->input);
  }
}

static void answer_start(struct process *process) {
  struct writer writer __attribute__((cleanup(writer_free))) = {0};
  write_number(&writer, RESULT_OK, 1);
  write_string(&writer, "");
  write_number(&writer, process->inner_pid, 4);
  port_send(FRAME_RESPONSE, process->request, writer.data, writer.used);
}

static void answer_failed_start(struct process *process) {
  struct writer writer __attribute__((cleanup(writer_free))) = {0};
  process->report.message[sizeof process->report.message - 1] = 0;
  write_number(&writer, process->report.result, 1);
  write_string(&writer, process->report.message);
  port_send(FRAME_RESPONSE, process->request, writer.data, writer.used);
}

// The pipe closes when the program is executed, or after the report of why it could not be.
static void read_report(struct process *process) {
  for (ssize_t got; process->report_used < sizeof process->report; process->report_used += got) {
    uint8_t *rest = (uint8_t *)&process->report + process->report_used;
    got = read(process->report_fd, rest, sizeof process->report - process->report_used);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) break;
  }
  close(process->report_fd);
  process->report_fd = -1;
  if (process->report_used == sizeof process->report) {
    if (process->flowing) answer_failed_start(process);
    if (process->handle == MAIN_HANDLE) main_ended = true;
    // It is about to end, but may be frozen before it has: nothing here waits for it.
    return release(process);
  }
  // A child that was killed before it could report has ended by itself: its exit follows.
  process->inner_pid = workload_inner_pid(process->pid);
  if (process->state == PROCESS_STARTING) process->state = PROCESS_RUNNING;
  if (process->flowing && !process->orphaned) answer_start(process);
}

static void ended(struct process *process, int status) {
  process->state = PROCESS_EXITED;
  process->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  process->out_of_memory = cgroup_out_of_memory();
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  process->finished_at = now.tv_sec * 1000ull + now.tv_nsec / 1000000;
  input_close(&process->input);
  if (process->handle == MAIN_HANDLE) main_ended = write_back_due = true;
}

void processes_write_back(void) {
  if (!write_back_due || !port_queue_empty()) return;
  write_back_due = false;
  sync();
}

void processes_reap(void) {
  // What a child has to say of its start comes before its end; one that could not start is nobody's any more then.
  each_process(process) if (process->report_fd >= 0) read_report(process);
  for (int status, pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    each_process(process) {
      if (process->pid != pid || process->state == PROCESS_EXITED) continue;
      if (process->report_fd >= 0) read_report(process);
      if (process->state != PROCESS_FREE) ended(process, status);
    }
}

size_t processes_poll(struct pollfd *polls) {
  size_t count = 0;
  each_process(process) {
    process->poll_index = count;
    process->polled = true;
    polls[count++] = (struct pollfd){.fd = process->report_fd, .events = POLLIN};
    for (int i = 0; i < 2; i++) {
      struct output *output = &process->output[i];
      polls[count++] = (struct pollfd){.fd = output_wants_read(output) ? output->fd : -1, .events = POLLIN};
    }
    struct input *input = &process->input;
    polls[count++] = (struct pollfd){.fd = input_wants_write(input) ? input->fd : -1, .events = POLLOUT};
  }
  return count;
}

void processes_polled(const struct pollfd *polls) {
  each_process(process) {
    if (!process->polled) continue;
    const struct pollfd *own = polls + process->poll_index;
    process->polled = false;
    if (own[3].revents) input_write(&process->input);
    for (int i = 0; i < 2; i++)
      if (own[1 + i].revents) output_read(&process->output[i]);
    if (own[0].revents && process->report_fd >= 0) read_report(process);
  }
}

void processes_settle(void) {
  each_process(process) {
    bool exited = process->state == PROCESS_EXITED;
    for (int i = 0; i < 2; i++) {
      struct output *output = &process->output[i];
      if (output->used && process->orphaned) output_discard(output);
      if (!exited || !output->used || output->ended) continue;
      output_read(output);
      // Who else holds the pipe open does not count: all that the process wrote is in the ring.
      if (output_wants_read(output)) output_end(output);
    }
    if (exited && process->orphaned && process->report_fd < 0) release(process);
  }
}

static bool send_exit(struct process *process) {
  if (process->state != PROCESS_EXITED || process->exit_sent) return false;
  if (!output_drained(&process->output[0]) || !output_drained(&process->output[1])) return false;
  uint8_t payload[10] = {process->exit_code, process->out_of_memory};
  for (int i = 0; i < 8; i++) payload[2 + i] = process->finished_at >> (8 * i);
  port_send(FRAME_EXIT, process->handle, payload, sizeof payload);
  process->exit_sent = true;
  return true;
}

// One frame of each process in turn, so that none of them holds up the others.
bool processes_send(void) {
  bool sent = true;
  while (sent && port_has_room()) {
    sent = false;
    each_process(process) {
      // The answer to the start comes before what the process wrote.
      if (!process->flowing || process->orphaned || process->state == PROCESS_STARTING) continue;
      if (process->report_fd >= 0) continue;
      if (process->has_input && process->state == PROCESS_RUNNING)
        sent |= input_send_credit(&process->input, process->handle);
      sent |= output_send(&process->output[0], process->handle, CHANNEL_STDOUT);
      sent |= output_send(&process->output[1], process->handle, CHANNEL_STDERR);
      sent |= send_exit(process);
    }
  }
  return sent;
}
