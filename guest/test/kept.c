// A process that can be kept as QEMU can (../process): kept MEMORY WHAT [FILE]. It has the guest's memory as descriptor MEMORY, two
// filters, and one thing besides, which WHAT names. It says "ready", and stands still until the generation in the guest's memory
// is another one; what is left of that thing is what it says then.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096
#define GENERATION_OFFSET 40
static const char first_generation[] = "0123456789abcdef";

#define MADV_GUARD 102
#define MADV_NO_GUARD 103

static void must(int succeeded, const char *what) {
  if (succeeded) return;
  printf("%s: %m\n", what);
  exit(1);
}

// Numbers up to the guest's memory are inherited.
static int above(int file) {
  int number = fcntl(file, F_DUPFD, 8);
  must(number >= 0 && close(file) == 0, "fcntl");
  return number;
}

static volatile unsigned char *make_memory(int number) {
  int file = memfd_create("guest", 0);
  must(file >= 0 && ftruncate(file, 16 * PAGE) == 0, "memfd_create");
  if (file != number) must(dup2(file, number) == number && close(file) == 0, "dup2");
  unsigned char *memory = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, number, 0);
  must(memory != MAP_FAILED, "mmap");
  memcpy(memory + 4 * PAGE + GENERATION_OFFSET, first_generation, sizeof first_generation - 1);
  return memory + 4 * PAGE + GENERATION_OFFSET;
}

static void set_filter(void) {
  struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {1, &allow};
  must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
}

// A page that cannot be read, between two that can.
static char *guarded;

static int is_readable(char *at) {
  char byte;
  struct iovec to = {&byte, 1}, from = {at, 1};
  return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

// Kernels have guards from 6.13 on, and tell of them from 6.15 on.
static int is_guard(char *at) {
  uint64_t entry = 0;
  int file = open("/proc/self/pagemap", O_RDONLY);
  must(file >= 0 && pread(file, &entry, sizeof entry, (off_t)((uintptr_t)at / PAGE * sizeof entry)) == sizeof entry, "pagemap");
  close(file);
  return entry >> 58 & 1;
}

static void make_guard(void) {
  guarded = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(guarded != MAP_FAILED, "mmap");
  guarded[0] = guarded[2 * PAGE] = 1;
  if (madvise(guarded + PAGE, PAGE, MADV_GUARD) == 0 && is_guard(guarded + PAGE)) return;
  // As C libraries did it before.
  madvise(guarded + PAGE, PAGE, MADV_NO_GUARD);
  must(mprotect(guarded + PAGE, PAGE, PROT_NONE) == 0, "mprotect");
}

static void make_locks(const char *path) {
  int file = above(open(path, O_RDWR));
  struct flock shared = {.l_type = F_RDLCK, .l_start = 100, .l_len = 1}, own = {.l_type = F_WRLCK, .l_start = 200, .l_len = 0};
  must(file >= 0 && fcntl(file, F_OFD_SETLK, &shared) == 0 && fcntl(file, F_OFD_SETLK, &own) == 0, "fcntl");
}

// What another one may not have: read and write, at some places.
static void say_locks(const char *path) {
  int file = open(path, O_RDWR);
  for (int place = 99; place < 300; place += place == 99 ? 1 : 100)
    for (int kind = F_RDLCK; kind <= F_WRLCK; kind++) {
      struct flock asked = {.l_type = (short)kind, .l_start = place, .l_len = 1};
      must(fcntl(file, F_OFD_GETLK, &asked) == 0, "fcntl");
      if (asked.l_type != F_UNLCK) printf("%d %s\n", place, kind == F_RDLCK ? "read" : "write");
    }
}

static void make_pipe(void) {
  int ends[2];
  must(pipe(ends) == 0, "pipe");
  above(ends[0]);
  above(ends[1]);
}

// The kernel stops nobody who waits for such a child, which may only make calls: it says that all is ready.
static _Noreturn void wait_for_child(void) {
  if (vfork() == 0)
    for (ssize_t count = write(STDOUT_FILENO, "ready\n", 6); count == 6;) pause();
  _exit(1);
}

static volatile int taken;
static void count_signal(int signal) { taken += signal == SIGRTMIN; }

// Sends itself one signal after the other, and waits for none to be taken.
static _Noreturn void flood(void) {
  struct sigaction action = {.sa_handler = count_signal};
  must(sigaction(SIGRTMIN, &action, NULL) == 0, "sigaction");
  for (int sent = 0;; sent++) {
    if (taken != sent) _exit(3);
    must(kill(getpid(), SIGRTMIN) == 0, "kill");
  }
}

int main(int count, char **words) {
  if (count < 3) return 1;
  const char *what = words[2], *path = count > 3 ? words[3] : "";
  volatile unsigned char *generation = make_memory(atoi(words[1]));
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "prctl");
  set_filter();
  set_filter();
  if (strcmp(what, "guard") == 0) make_guard();
  if (strcmp(what, "locks") == 0) make_locks(path);
  if (strcmp(what, "socket") == 0) above(socket(AF_UNIX, SOCK_STREAM, 0));
  // It cannot be kept, whatever signal it has to take.
  if (strcmp(what, "pipe") == 0 || strcmp(what, "signals") == 0) make_pipe();
  if (strcmp(what, "high") == 0) must(fcntl(open(path, O_RDONLY), F_DUPFD, 1000) == 1000, "fcntl");
  if (strcmp(what, "child") == 0) wait_for_child();
  puts("ready");
  fflush(stdout);
  if (strcmp(what, "signals") == 0) flood();
  // A new one may begin as the old one did.
  while (memcmp((const void *)generation, first_generation, sizeof first_generation - 1) == 0) usleep(1000);
  if (strcmp(what, "guard") == 0)
    for (int page = 0; page < 3; page++) puts(is_readable(guarded + page * PAGE) ? "there" : "guarded");
  if (strcmp(what, "locks") == 0) say_locks(path);
  puts("went on");
  return 0;
}
