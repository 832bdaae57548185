#include "threads.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "process.h"
#include "report.h"
#include "state.h"
#include "writer.h"

#define MOST_THREADS 32
// Where the C library keeps a thread's number (struct pthread of glibc 2.26 to 2.41).
#define OFFSET_OF_ID 0x2d0
// A copy makes as many threads as it takes to come to a number.
#define MOST_ID 1000

struct thread threads[MOST_THREADS];
struct list thread_list = {.items = (char *)threads, .size = sizeof(struct thread)};
static pid_t host_ids[MOST_THREADS];
static unsigned char states[MOST_THREADS][MOST_STATE];

static void stop_thread(pid_t id) {
  int status;
  if (ptrace(PTRACE_SEIZE, id, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, id, 0, 0) < 0)
    fail("thread %d cannot be traced: %s", id, strerror(errno));
  if (waitpid(id, &status, __WALL) != id || !WIFSTOPPED(status)) fail_for_now("thread %d has ended", id);
  if (status >> 16 == PTRACE_EVENT_STOP) return;
  // The kernel has given it to us: it is lost when we end, unless it is handed back.
  ptrace(PTRACE_DETACH, id, 0, WSTOPSIG(status));
  fail_for_now("thread %d has a signal to take", id);
}

// A thread may be made while others are being stopped: look until there is none that is new.
void stop_threads(void) {
  char path[64];
  size_t count = 0;
  snprintf(path, sizeof path, "/proc/%d/task", process_id);
  for (bool found = true; found;) {
    found = false;
    DIR *directory = opendir(path);
    if (directory == NULL) fail("%s: %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
      pid_t id = atoi(entry->d_name);
      bool known = id == 0;
      for (size_t i = 0; i < count; i++) known = known || host_ids[i] == id;
      if (known) continue;
      if (count == MOST_THREADS) fail("more than %d threads", MOST_THREADS);
      stop_thread(id);
      host_ids[count++] = id;
      found = true;
    }
    closedir(directory);
  }
  thread_list.count = count;
}

static void read_status(pid_t id, struct thread *thread) {
  char name[64], line[256];
  snprintf(name, sizeof name, "task/%d/status", id);
  FILE *file = open_proc(name);
  while (fgets(line, sizeof line, file) != NULL) {
    unsigned long long mask;
    char *last;
    if (strncmp(line, "NSpid:", 6) == 0 && (last = strrchr(line, '\t')) != NULL) thread->id = (uint32_t)atoi(last + 1);
    if (sscanf(line, "SigBlk: %llx", &mask) == 1) thread->mask = mask;
    if (sscanf(line, "SigPnd: %llx", &mask) == 1 && mask != 0) fail_for_now("thread %d has a signal to take", id);
    if (sscanf(line, "ShdPnd: %llx", &mask) == 1 && mask != 0) fail_for_now("the process has a signal to take");
  }
  fclose(file);
  snprintf(name, sizeof name, "task/%d/comm", id);
  file = open_proc(name);
  if (fgets(thread->name, sizeof thread->name, file) != NULL) thread->name[strcspn(thread->name, "\n")] = 0;
  fclose(file);
}

// A call that was broken off: what the kernel would do once it had returned. One that it restarts with what it has noted
// (restart_block) is one that its caller takes up again when it has been interrupted.
static void restart_call(struct user_regs_struct *registers) {
  if ((long long)registers->orig_rax < 0) return;
  switch ((long long)registers->rax) {
    case -512:
    case -513:
    case -514:
      registers->rax = registers->orig_rax;
      registers->rip -= 2;
      break;
    case -516:
      registers->rax = (unsigned long long)-EINTR;
      break;
  }
}

static void read_thread(size_t index) {
  struct thread *thread = &threads[index];
  pid_t id = host_ids[index];
  struct iovec registers = {&thread->registers, sizeof thread->registers}, state = {states[index], MOST_STATE};
  struct __ptrace_rseq_configuration sequences;
  void *robust = NULL;
  size_t robust_bytes = 0;
  if (ptrace(PTRACE_GETREGSET, id, NT_PRSTATUS, &registers) < 0 || ptrace(PTRACE_GETREGSET, id, NT_X86_XSTATE, &state) < 0)
    fail("the registers of thread %d: %s", id, strerror(errno));
  if (state.iov_len < LEAST_STATE || state.iov_len > MOST_STATE - 64) fail("thread %d has a state of %zu bytes", id, state.iov_len);
  if (index == 0) note_registers(&thread->registers);
  read_status(id, thread);
  if (registers.iov_len != sizeof thread->registers) fail("thread %d is of another architecture", id);
  thread->state_bytes = state_bytes(states[index], state.iov_len);
  restart_call(&thread->registers);
  if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, id, sizeof sequences, &sequences) == sizeof sequences) {
    thread->sequences = sequences.rseq_abi_pointer;
    thread->sequences_bytes = sequences.rseq_abi_size;
    thread->sequences_mark = sequences.signature;
  }
  if (syscall(SYS_get_robust_list, id, &robust, &robust_bytes) == 0) {
    thread->robust = (uint64_t)robust;
    thread->robust_bytes = robust_bytes;
  }
  // The C library has the kernel write 0 to where it keeps the thread's number.
  uint64_t place = thread->registers.fs_base + OFFSET_OF_ID;
  if ((uint32_t)read_word(place) != thread->id) fail("thread %d keeps its number elsewhere", id);
  if (thread->id > MOST_ID) fail("thread %d has the number %u", id, thread->id);
  thread->clear = place;
}

void read_threads(void) {
  for (size_t i = 0; i < thread_list.count; i++) read_thread(i);
  if (host_ids[0] != process_id) fail("its first thread is not the first");
}

void place_states(void) {
  for (size_t i = 0; i < thread_list.count; i++) threads[i].state = place_bytes((threads[i].state_bytes + 63) & ~63UL);
}

void put_states(void) {
  for (size_t i = 0; i < thread_list.count; i++) put(states[i], threads[i].state_bytes, threads[i].state);
}
