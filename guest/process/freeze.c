// hull-freeze PID MEMORY IMAGE GENERATION: writes a process that stands still to a file (image.h), and ends the process.
//
// MEMORY is the number of its descriptor of the guest's memory, which is not part of the image. GENERATION are the 16 bytes of the
// machine's generation (vmgenid), in hexadecimal, as the guest's memory holds them. What cannot be taken along is an
// error: it says so in a line, exits with 1, and the process goes on.
//
// Sources: Linux, Documentation/filesystems/proc.rst (maps, smaps, pagemap, fdinfo), ptrace(2), rseq(2).
#include <cpuid.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image.h"

#define MOST_THREADS 32
#define MOST_STATE 16384
#define MOST_IMAGE (512UL << 20)
// Whatever the process has made of itself, looking at it ends: address space of one mapping, descriptors, seconds.
#define MOST_SPACE (64UL << 30)
#define MOST_PLACES 8192
#define MOST_SECONDS 20
// Pages of nothing between two runs that are not worth a mapping of their own.
#define GAP 32
// Where the C library keeps a thread's number (struct pthread of glibc 2.26 to 2.41).
#define OFFSET_OF_ID 0x2d0
// A copy makes as many threads as it takes to come to a number.
#define MOST_ID 1000
// Of all anonymous memory together.
#define MOST_ANONYMOUS (16UL << 30)
// Components of the state that a signal's frame has only once they were asked for (AMX: XTILECFG, XTILEDATA).
#define TILES (3UL << 17)

static pid_t pid;
static int memory_file;
static int out;
static struct image image = {.magic = IMAGE_MAGIC};
static struct thread threads[MOST_THREADS];
// Of the first thread, as it stands: it may have to go on.
static struct user_regs_struct first_registers;
static bool is_stepped;

// As if nothing had been done to it.
static void let_go_on(void) {
  struct iovec before = {&first_registers, sizeof first_registers};
  if (!is_stepped) return;
  ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &before);
  ptrace(PTRACE_DETACH, pid, 0, 0);
}

static pid_t host_ids[MOST_THREADS];
static unsigned char states[MOST_THREADS][MOST_STATE];

struct list {
  char *items;
  size_t count, room, size;
};
static struct list places = {.size = sizeof(struct place)}, runs = {.size = sizeof(struct run)},
                   files = {.size = sizeof(struct file)}, descriptors = {.size = sizeof(struct descriptor)},
                   watches = {.size = sizeof(struct watch)}, actions = {.size = sizeof(struct action)},
                   filters = {.size = sizeof(struct sock_filter)};

static void let_go_on(void);

_Noreturn static void fail(const char *format, ...) {
  let_go_on();
  va_list list;
  va_start(list, format);
  fputs("hull-freeze: ", stderr);
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
  exit(1);
}

static void *add(struct list *list, const void *item) {
  if (list->count == list->room) {
    list->room = list->room == 0 ? 64 : list->room * 2;
    list->items = realloc(list->items, list->room * list->size);
    if (list->items == NULL) fail("no memory");
  }
  return memcpy(list->items + list->size * list->count++, item, list->size);
}

static FILE *open_proc(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  FILE *file = fopen(path, "re");
  if (file == NULL) fail("%s: %s", path, strerror(errno));
  return file;
}

// --- Threads

static void stop_thread(pid_t id) {
  int status;
  if (ptrace(PTRACE_SEIZE, id, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, id, 0, 0) < 0)
    fail("thread %d cannot be traced: %s", id, strerror(errno));
  if (waitpid(id, &status, __WALL) != id || !WIFSTOPPED(status)) fail("thread %d has ended", id);
  if (status >> 16 != PTRACE_EVENT_STOP) fail("thread %d has a signal to take", id);
}

// A thread may be made while others are being stopped: look until there is none that is new.
static size_t stop_threads(void) {
  char path[64];
  size_t count = 0;
  snprintf(path, sizeof path, "/proc/%d/task", pid);
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
  return count;
}

static uint64_t read_word(uint64_t address) {
  uint64_t word = 0;
  return pread(memory_file, &word, sizeof word, (off_t)address) == sizeof word ? word : 0;
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
    if (sscanf(line, "SigPnd: %llx", &mask) == 1 && mask != 0) fail("thread %d has a signal to take", id);
    if (sscanf(line, "ShdPnd: %llx", &mask) == 1 && mask != 0) fail("the process has a signal to take");
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

// What of the state a signal's frame takes, without what has to be asked for.
static uint64_t state_bytes(unsigned char *state, size_t had) {
  uint64_t features, bytes = 576;
  memcpy(&features, state + offsetof(struct user_fpregs_struct, padding) + 48, sizeof features);
  features &= ~TILES;
  memcpy(state + offsetof(struct user_fpregs_struct, padding) + 48, &features, sizeof features);
  uint64_t present;
  memcpy(&present, state + 512, sizeof present);
  if (present & TILES) fail("it uses tiles");
  for (unsigned component = 2; component < 63; component++) {
    unsigned size, offset, c, d;
    if (!(features >> component & 1)) continue;
    __cpuid_count(0xd, component, size, offset, c, d);
    if (offset + size > bytes) bytes = offset + size;
  }
  return bytes < had ? bytes : had;
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
  if (state.iov_len < 576 || state.iov_len > MOST_STATE - 64) fail("thread %d has a state of %zu bytes", id, state.iov_len);
  if (index == 0) first_registers = thread->registers;
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

// --- Mappings

static uint32_t file_of(const char *path) {
  for (size_t i = 0; i < files.count; i++)
    if (strcmp(((struct file *)files.items)[i].path, path) == 0) return (uint32_t)i;
  struct file file = {};
  struct stat status;
  char inside[320];
  if (strlen(path) >= sizeof file.path) fail("%s is too long a path", path);
  strcpy(file.path, path);
  snprintf(inside, sizeof inside, "/proc/%d/root%s", pid, file.path);
  if (stat(inside, &status) < 0) fail("%s: %s", path, strerror(errno));
  file.inode = status.st_ino;
  file.size = (uint64_t)status.st_size;
  file.seconds = (uint64_t)status.st_mtim.tv_sec;
  file.nanoseconds = (uint64_t)status.st_mtim.tv_nsec;
  add(&files, &file);
  return (uint32_t)files.count - 1;
}

static bool is_memory(const char *path, unsigned long inode) {
  char name[64];
  struct stat status;
  snprintf(name, sizeof name, "/proc/%d/fd/%u", pid, image.memory);
  return strncmp(path, "/memfd:", 7) == 0 && stat(name, &status) == 0 && status.st_ino == inode;
}

static void read_places(void) {
  char line[4400];
  FILE *file = open_proc("smaps");
  struct place *place = NULL;
  unsigned long anonymous = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    unsigned long start, end, offset, inode;
    char mode[5], path[4200] = "";
    if (sscanf(line, "%lx-%lx %4s %lx %*x:%*x %lu %4199[^\n]", &start, &end, mode, &offset, &inode, path) < 5) {
      if (place != NULL && strncmp(line, "VmFlags:", 8) == 0) place->huge = strstr(line, " hg") != NULL;
      continue;
    }
    if (strcmp(path, "[vsyscall]") == 0) {
      place = NULL;
      continue;
    }
    struct place found = {.start = start, .end = end, .offset = offset};
    found.protection = (mode[0] == 'r' ? PROT_READ : 0) | (mode[1] == 'w' ? PROT_WRITE : 0) | (mode[2] == 'x' ? PROT_EXEC : 0);
    if (places.count == MOST_PLACES || end - start > MOST_SPACE) fail("it has too much memory at %lx", start);
    if (start < THAW_END && end > THAW_START) fail("it has a mapping at %lx", start);
    if (strncmp(path, "[v", 2) == 0) {
      found.kind = PLACE_KERNEL;
    } else if (inode != 0 && is_memory(path, inode)) {
      if (mode[3] != 's') fail("it has the guest's memory for itself");
      found.kind = PLACE_MEMORY;
    } else if (inode != 0) {
      if (mode[3] != 'p') fail("%s is shared", path);
      found.kind = PLACE_FILE;
      found.file = file_of(path);
    } else {
      if (mode[3] != 'p') fail("memory at %lx is shared", start);
      if (found.protection != 0 && (anonymous += end - start) > MOST_ANONYMOUS) fail("it has too much memory at %lx", start);
      found.kind = PLACE_ANONYMOUS;
      found.grows = strcmp(path, "[stack]") == 0;
    }
    place = add(&places, &found);
  }
  fclose(file);
}

static uint64_t written;

static void write_pages(const void *data, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t count = pwrite(out, (const char *)data + done, bytes - done, (off_t)(written + done));
    if (count <= 0) fail("the image cannot be written: %s", strerror(errno));
    done += (size_t)count;
  }
  written += bytes;
  if (written > MOST_IMAGE) fail("it has more than %lu bytes", MOST_IMAGE);
}

static bool is_zero(const uint64_t *page) {
  for (size_t i = 0; i < PAGE / sizeof *page; i++)
    if (page[i] != 0) return false;
  return true;
}

// A page is its own if it is there, and not a file's.
static bool is_own(uint64_t entry, uint16_t kind) {
  bool there = (entry >> 63 & 1) || (entry >> 62 & 1);
  return there && (kind == PLACE_ANONYMOUS || !(entry >> 61 & 1));
}

static void read_runs(int pagemap, const struct place *place) {
  static uint64_t entries[512];
  static uint64_t pages[512][PAGE / sizeof(uint64_t)];
  struct run *run = NULL;
  uint64_t nothing = 0;
  for (uint64_t at = place->start; at < place->end;) {
    size_t count = (place->end - at) / PAGE;
    if (count > 512) count = 512;
    if (pread(pagemap, entries, count * sizeof *entries, (off_t)(at / PAGE * sizeof *entries)) != (ssize_t)(count * sizeof *entries))
      fail("the pages at %lx: %s", at, strerror(errno));
    for (size_t i = 0; i < count; i++, at += PAGE) {
      bool own = is_own(entries[i], place->kind);
      if (own && pread(memory_file, pages[0], PAGE, (off_t)at) != (ssize_t)PAGE) fail("the page at %lx: %s", at, strerror(errno));
      // A page of a file that was written to holds what it holds.
      if (!own || (place->kind == PLACE_ANONYMOUS && is_zero(pages[0]))) {
        nothing++;
        continue;
      }
      if (run != NULL && nothing > 0 && nothing <= GAP && place->kind == PLACE_ANONYMOUS) {
        for (; nothing > 0; nothing--, run->pages++) {
          static const char zeros[PAGE];
          write_pages(zeros, PAGE);
        }
      }
      if (run == NULL || nothing > 0) {
        struct run next = {.start = at, .offset = written, .protection = place->protection};
        run = add(&runs, &next);
      }
      nothing = 0;
      write_pages(pages[0], PAGE);
      run->pages++;
    }
  }
}

// --- Descriptors

static int32_t descriptor_of(int32_t number) {
  int process = (int)syscall(SYS_pidfd_open, pid, 0);
  int own = (int)syscall(SYS_pidfd_getfd, process, number, 0);
  close(process);
  if (own < 0) fail("descriptor %d: %s", number, strerror(errno));
  return own;
}

static void read_tap(struct descriptor *descriptor, const struct notes *notes) {
  int own = descriptor_of(descriptor->number);
  struct ifreq request = {};
  int header = 0, buffer = 0;
  if (ioctl(own, TUNGETIFF, &request) < 0 || ioctl(own, TUNGETVNETHDRSZ, &header) < 0 || ioctl(own, TUNGETSNDBUF, &buffer) < 0)
    fail("the tap of descriptor %d: %s", descriptor->number, strerror(errno));
  close(own);
  descriptor->kind = OPEN_TAP;
  descriptor->header = (uint32_t)header;
  descriptor->send_buffer = buffer;
  descriptor->value = (uint64_t)(unsigned short)request.ifr_flags;
  if (descriptor->number < MOST_DESCRIPTORS) descriptor->offload = notes->offloads[descriptor->number];
  snprintf(descriptor->path, sizeof descriptor->path, "%.*s", IFNAMSIZ, request.ifr_name);
}

static void read_watches(FILE *info, int32_t poll) {
  char line[512];
  rewind(info);
  while (fgets(line, sizeof line, info) != NULL) {
    struct watch watch = {.poll = poll};
    unsigned long long data;
    if (sscanf(line, "tfd: %d events: %x data: %llx", &watch.number, &watch.events, &data) != 3) continue;
    watch.data = data;
    add(&watches, &watch);
  }
}

static void read_descriptor(int32_t number, const struct notes *notes) {
  char name[64], path[4200], line[512];
  struct descriptor descriptor = {.number = number};
  unsigned flags = 0;
  unsigned long long count = 0, mask = 0, position = 0;
  snprintf(name, sizeof name, "/proc/%d/fd/%d", pid, number);
  ssize_t length = readlink(name, path, sizeof path - 1);
  if (length < 0) fail("descriptor %d: %s", number, strerror(errno));
  path[length] = 0;
  snprintf(name, sizeof name, "fdinfo/%d", number);
  FILE *info = open_proc(name);
  while (fgets(line, sizeof line, info) != NULL) {
    sscanf(line, "flags: %o", &flags);
    sscanf(line, "pos: %llu", &position);
    sscanf(line, "eventfd-count: %llx", &count);
    sscanf(line, "sigmask: %llx", &mask);
  }
  descriptor.flags = flags;
  descriptor.value = position;
  if (number <= (int32_t)image.memory) {
    descriptor.kind = OPEN_INHERITED;
  } else if (strcmp(path, "anon_inode:[eventfd]") == 0) {
    descriptor.kind = OPEN_EVENTS;
    descriptor.value = count;
  } else if (strcmp(path, "anon_inode:[signalfd]") == 0) {
    descriptor.kind = OPEN_SIGNALS;
    descriptor.value = mask;
  } else if (strcmp(path, "anon_inode:[eventpoll]") == 0) {
    descriptor.kind = OPEN_POLL;
    read_watches(info, number);
  } else if (strcmp(path, "/dev/net/tun") == 0) {
    read_tap(&descriptor, notes);
  } else if (strncmp(path, "/memfd:", 7) == 0) {
    struct stat status;
    snprintf(name, sizeof name, "/proc/%d/fd/%d", pid, number);
    if (stat(name, &status) < 0 || !is_memory(path, status.st_ino)) fail("descriptor %d is %s", number, path);
    descriptor.kind = OPEN_MEMORY;
  } else if (path[0] == '/' && (size_t)length < sizeof descriptor.path) {
    descriptor.kind = OPEN_PATH;
    strcpy(descriptor.path, path);
  } else {
    fail("descriptor %d is %s", number, path);
  }
  fclose(info);
  add(&descriptors, &descriptor);
}

static int by_number(const void *one, const void *other) {
  return ((const struct descriptor *)one)->number - ((const struct descriptor *)other)->number;
}

static void read_descriptors(void) {
  struct notes notes = {};
  char path[64];
  if (pread(memory_file, &notes, sizeof notes, NOTES_PLACE) != sizeof notes || notes.magic != NOTES_MAGIC) notes = (struct notes){};
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *directory = opendir(path);
  if (directory == NULL) fail("%s: %s", path, strerror(errno));
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
    if (entry->d_name[0] != '.') {
      if (descriptors.count == MOST_DESCRIPTORS) fail("it has more than %d descriptors", MOST_DESCRIPTORS);
      read_descriptor(atoi(entry->d_name), &notes);
    }
  closedir(directory);
  qsort(descriptors.items, descriptors.count, sizeof(struct descriptor), by_number);
}

// --- What only the process itself can be asked

static uint64_t call_place(void) {
  for (size_t i = 0; i < places.count; i++) {
    const struct place *place = (const struct place *)places.items + i;
    if (place->kind != PLACE_KERNEL || !(place->protection & PROT_EXEC)) continue;
    for (uint64_t at = place->start; at + 1 < place->end; at++)
      if ((read_word(at) & 0xffff) == 0x050f) return at;
  }
  fail("it has no place to call the kernel from");
}

static long call(uint64_t place, long number, uint64_t one, uint64_t two, uint64_t three, uint64_t four) {
  struct user_regs_struct registers = threads[0].registers;
  struct iovec vector = {&registers, sizeof registers};
  int status;
  is_stepped = true;
  registers.rip = place;
  registers.rax = (unsigned long long)number;
  registers.orig_rax = (unsigned long long)-1;
  registers.rdi = one;
  registers.rsi = two;
  registers.rdx = three;
  registers.r10 = four;
  if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &vector) < 0 || ptrace(PTRACE_SINGLESTEP, pid, 0, 0) < 0)
    fail("it cannot be stepped: %s", strerror(errno));
  if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) fail("it has ended");
  if (WSTOPSIG(status) != SIGTRAP) fail("it has a signal to take");
  vector.iov_len = sizeof registers;
  if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &vector) < 0) fail("its registers: %s", strerror(errno));
  if (registers.rip != place + 2) fail("it is not where it should be");
  return (long)registers.rax;
}

// Where it has a buffer below its stack, which nobody needs any more.
static void read_actions(void) {
  uint64_t place = call_place(), buffer = (threads[0].registers.rsp - 1024) & ~63UL;
  for (int signal = 1; signal <= 64; signal++) {
    struct {
      uint64_t handler, flags, restorer, mask;
    } found;
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    long result = call(place, SYS_rt_sigaction, (uint64_t)signal, 0, buffer, 8);
    if (result < 0) fail("what it does at signal %d: %s", signal, strerror((int)-result));
    if (pread(memory_file, &found, sizeof found, (off_t)buffer) != sizeof found) fail("its stack: %s", strerror(errno));
    if (found.handler == 0) continue;
    struct action action = {(uint64_t)signal, found.handler, found.flags, found.restorer, found.mask};
    add(&actions, &action);
  }
}

static long filters_of(const char *path) {
  char line[256];
  long count = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) fail("%s: %s", path, strerror(errno));
  while (fgets(line, sizeof line, file) != NULL) sscanf(line, "Seccomp_filters: %ld", &count);
  fclose(file);
  return count;
}

// The kernel counts filters from the first one. Those of whoever started the jail come first, then the jail's: the next process has
// them, too. The one over them is its own.
static void read_filter(void) {
  static struct sock_filter filter[4096];
  char path[64];
  enum __ptrace_request get = (enum __ptrace_request)PTRACE_SECCOMP_GET_FILTER;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  long outer = filters_of("/proc/self/status"), all = filters_of(path);
  if (all != outer + 2) fail("it has %ld filters where %ld are expected", all, outer + 2);
  long count = ptrace(get, pid, outer + 1, NULL);
  if (count <= 0 || count > 4096) fail("its filter: %s", strerror(errno));
  if (ptrace(get, pid, outer + 1, filter) != count) fail("its filter: %s", strerror(errno));
  for (long i = 0; i < count; i++) add(&filters, &filter[i]);
}

static void read_addresses(void) {
  char text[2048];
  FILE *file = open_proc("stat");
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = 0;
  // The name may hold anything; the third field comes after it.
  char *at = strrchr(text, ')');
  unsigned long long fields[53] = {};
  if (at == NULL) fail("its numbers cannot be read");
  at += 4;
  for (int field = 4; field <= 52; field++) fields[field] = strtoull(at, &at, 10);
  struct prctl_mm_map *map = &image.addresses;
  map->start_code = fields[26];
  map->end_code = fields[27];
  map->start_stack = fields[28];
  map->start_data = fields[45];
  map->end_data = fields[46];
  map->start_brk = fields[47];
  map->arg_start = fields[48];
  map->arg_end = fields[49];
  map->env_start = fields[50];
  map->env_end = fields[51];
  map->exe_fd = (uint32_t)-1;
  map->brk = map->start_brk;
  FILE *maps = open_proc("maps");
  char line[4400];
  unsigned long end;
  while (fgets(line, sizeof line, maps) != NULL)
    if (strstr(line, "[heap]") != NULL && sscanf(line, "%*x-%lx", &end) == 1) map->brk = end;
  fclose(maps);
}

static void check_timers(void) {
  FILE *file = open_proc("timers");
  if (fgetc(file) != EOF) fail("it has timers");
  fclose(file);
}

// --- The generation

// It is alone in a page of the guest's memory (QEMU, docs/specs/vmgenid.rst), where the guest's kernel looks for it; the kernel's own
// copy is elsewhere, and has to stay what it was.
#define GENERATION_OFFSET 40

static bool is_generation(const unsigned char *page, const unsigned char *number) {
  static const unsigned char zeros[PAGE];
  return memcmp(page + GENERATION_OFFSET, number, 16) == 0 && memcmp(page, zeros, GENERATION_OFFSET) == 0 &&
         memcmp(page + GENERATION_OFFSET + 16, zeros, PAGE - GENERATION_OFFSET - 16) == 0;
}

static void find_generation(const char *digits) {
  unsigned char number[16];
  char path[64];
  struct stat status;
  for (size_t i = 0; i < sizeof number; i++)
    if (sscanf(digits + 2 * i, "%2hhx", &number[i]) != 1) fail("the generation %s has no 16 bytes", digits);
  snprintf(path, sizeof path, "/proc/%d/fd/%u", pid, image.memory);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0 || fstat(file, &status) < 0) fail("the guest's memory: %s", strerror(errno));
  unsigned char *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) fail("the guest's memory: %s", strerror(errno));
  // What is a hole must stay one: looking at it would fill it.
  for (off_t at = 0; (at = lseek(file, at, SEEK_DATA)) >= 0;) {
    off_t end = lseek(file, at, SEEK_HOLE);
    for (; at < end; at += PAGE)
      if (is_generation(memory + at, number)) {
        if (image.generation_count == MOST_GENERATIONS) fail("the guest's memory is full of its generation");
        image.generations[image.generation_count++] = (uint64_t)at + GENERATION_OFFSET;
      }
  }
  munmap(memory, (size_t)status.st_size);
  close(file);
  if (image.generation_count == 0) fail("the guest's memory does not hold its generation");
}

// --- The image

static uint64_t tables_at = (sizeof(struct image) + 7) & ~7UL;

static struct table table_of(const struct list *list) {
  struct table table = {tables_at, list->count};
  tables_at += (list->count * list->size + 7) & ~7UL;
  return table;
}

static void put(const void *data, size_t bytes, uint64_t offset) {
  if (pwrite(out, data, bytes, (off_t)offset) != (ssize_t)bytes) fail("the image cannot be written: %s", strerror(errno));
}

static void put_list(const struct list *list, struct table table) {
  if (list->count > 0) put(list->items, list->count * list->size, table.offset);
}

int main(int count, char **words) {
  char path[64];
  if (count != 5) fail("wants PID MEMORY IMAGE GENERATION");
  alarm(MOST_SECONDS);
  pid = atoi(words[1]);
  image.memory = (uint32_t)atoi(words[2]);
  image.self = image.memory + 1;
  out = open(words[3], O_RDWR | O_CLOEXEC);
  if (out < 0) fail("%s: %s", words[3], strerror(errno));
  snprintf(path, sizeof path, "/proc/%d/mem", pid);
  memory_file = open(path, O_RDONLY | O_CLOEXEC);
  snprintf(path, sizeof path, "/proc/%d/pagemap", pid);
  int pagemap = open(path, O_RDONLY | O_CLOEXEC);
  if (memory_file < 0 || pagemap < 0) fail("its memory: %s", strerror(errno));

  size_t thread_count = stop_threads();
  for (size_t i = 0; i < thread_count; i++) read_thread(i);
  if (host_ids[0] != pid) fail("its first thread is not the first");
  check_timers();
  read_places();
  read_addresses();
  read_descriptors();
  read_filter();
  find_generation(words[4]);
  // The tables' size has to be known before the pages are written.
  written = TABLES_MOST;
  for (size_t i = 0; i < places.count; i++) {
    const struct place *place = (const struct place *)places.items + i;
    if (place->kind == PLACE_ANONYMOUS || place->kind == PLACE_FILE) read_runs(pagemap, place);
  }
  read_actions();

  struct list thread_list = {(char *)threads, thread_count, thread_count, sizeof(struct thread)};
  image.places = table_of(&places);
  image.runs = table_of(&runs);
  image.files = table_of(&files);
  image.descriptors = table_of(&descriptors);
  image.watches = table_of(&watches);
  image.actions = table_of(&actions);
  image.threads = table_of(&thread_list);
  image.filter = table_of(&filters);
  for (size_t i = 0; i < thread_count; i++) {
    threads[i].state = tables_at;
    tables_at += (threads[i].state_bytes + 63) & ~63UL;
  }
  image.tables_bytes = (tables_at + PAGE - 1) & ~(PAGE - 1);
  if (image.tables_bytes > TABLES_MOST) fail("its tables have more than %lu bytes", TABLES_MOST);
  put_list(&places, image.places);
  put_list(&runs, image.runs);
  put_list(&files, image.files);
  put_list(&descriptors, image.descriptors);
  put_list(&watches, image.watches);
  put_list(&actions, image.actions);
  put_list(&thread_list, image.threads);
  put_list(&filters, image.filter);
  for (size_t i = 0; i < thread_count; i++) put(states[i], threads[i].state_bytes, threads[i].state);
  put(&image, sizeof image, 0);
  kill(pid, SIGKILL);
  return 0;
}
