// hull-thaw: becomes the process that an image (image.h) was made of.
//
// It is started as that process was, in a jail of its own, with the guest's memory and the image as descriptors. It has no C
// library: it takes every mapping away, its own stack among them, lays those of the image where they were, and goes on where
// the process stood. The guest's memory and all pages are mapped privately: nothing that it does changes the image.
//
// What is different from the process that was saved is what has a file of the jail behind it: sockets, disks, taps.
//
// Sources: Linux, arch/x86/include/uapi/asm/sigcontext.h, Documentation/arch/x86/xstate.rst (the frame of a signal),
// rt_sigreturn(2), clone(2), prctl(2) (PR_SET_MM_MAP).
#include <asm/sigcontext.h>
#include <asm/prctl.h>
#include <asm/stat.h>
#include <linux/auxvec.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/ioctl.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "image.h"

#define ADDRESSES_END 0x7ffffffff000UL
#define HIGH_DESCRIPTOR 1000
#define MOST_THREADS 32
#define STACK 16384
#define MOST_STATE 16384

static char stacks[MOST_THREADS][STACK] __attribute__((aligned(64)));
static char frames[MOST_THREADS][MOST_STATE + 1024] __attribute__((aligned(64)));
// Of a thread that only takes a number.
static char spare_stack[STACK] __attribute__((aligned(64)));
static const struct image *image;
static struct touched touched[MOST_TOUCHED];
static uint64_t touched_count;

static inline long call6(long number, long one, long two, long three, long four, long five, long six) {
  register long r10 __asm__("r10") = four;
  register long r8 __asm__("r8") = five;
  register long r9 __asm__("r9") = six;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(one), "S"(two), "d"(three), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#define CALL(number, one, two, three, four, five, six, ...) \
  call6(number, (long)(one), (long)(two), (long)(three), (long)(four), (long)(five), (long)(six))
#define call(...) CALL(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

void *memcpy(void *to, const void *from, size_t count) {
  void *start = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
  return start;
}

void *memset(void *to, int byte, size_t count) {
  void *start = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(byte) : "memory");
  return start;
}

static size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length] != 0) length++;
  return length;
}

static void say(const char *text) {
  call(SYS_write, 2, text, length_of(text));
}

static void say_number(unsigned long number) {
  char digits[20];
  size_t at = sizeof digits;
  do digits[--at] = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  call(SYS_write, 2, digits + at, sizeof digits - at);
}

_Noreturn static void fail(const char *what, const char *which, long result) {
  say("hull-thaw: ");
  say(what);
  if (which[0] != 0) say(" ");
  say(which);
  say(": error ");
  say_number((unsigned long)-result);
  say("\n");
  for (;;) call(SYS_exit_group, 1);
}

static long check(long result, const char *what, const char *which) {
  if (result < 0 && result > -4096) fail(what, which, result);
  return result;
}

static const void *table(const struct table *table) {
  return (const char *)image + table->offset;
}

// --- Descriptors

// Moves what was opened to the number that it has to have.
static void place_descriptor(long opened, const struct descriptor *wanted, const char *what) {
  check(opened, what, wanted->path);
  if (opened == wanted->number) return;
  check(call(SYS_dup3, opened, wanted->number, wanted->flags & O_CLOEXEC), "dup3", what);
  call(SYS_close, opened);
}

static void copy_name(char *to, const char *from) {
  for (size_t i = 0; i < IFNAMSIZ - 1 && from[i] != 0; i++) to[i] = from[i];
}

// A card that nothing is behind: it has something that can neither be read nor written to, and that is never ready.
static long open_nothing(void) {
  uint64_t none = 0;
  return call(SYS_signalfd4, -1, &none, sizeof none, O_NONBLOCK | O_CLOEXEC);
}

// The first card has one that leads nowhere if the workload has no network.
static long open_tap(const struct descriptor *wanted) {
  struct ifreq request;
  long tap = check(call(SYS_openat, AT_FDCWD, "/dev/net/tun", O_RDWR | O_NONBLOCK), "open", "/dev/net/tun");
  memset(&request, 0, sizeof request);
  request.ifr_flags = (short)(wanted->value & (IFF_TAP | IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE));
  copy_name(request.ifr_name, wanted->path);
  long result = call(SYS_ioctl, tap, TUNSETIFF, &request);
  if (result < 0) {
    memset(request.ifr_name, 0, sizeof request.ifr_name);
    if (wanted->path[0] != 't' || wanted->path[3] != '0') {
      call(SYS_close, tap);
      return open_nothing();
    }
    copy_name(request.ifr_name, "blind");
    check(call(SYS_ioctl, tap, TUNSETIFF, &request), "attach", wanted->path);
  }
  int header = (int)wanted->header, buffer = wanted->send_buffer;
  check(call(SYS_ioctl, tap, TUNSETVNETHDRSZ, &header), "the header's size of", wanted->path);
  check(call(SYS_ioctl, tap, TUNSETSNDBUF, &buffer), "the buffer of", wanted->path);
  check(call(SYS_ioctl, tap, TUNSETOFFLOAD, wanted->offload), "the offloads of", wanted->path);
  return tap;
}

static void open_path(const struct descriptor *wanted) {
  long opened = call(SYS_openat, AT_FDCWD, wanted->path, wanted->flags & ~(O_CREAT | O_EXCL | O_TRUNC), 0);
  place_descriptor(opened, wanted, "open");
  if (wanted->value != 0) call(SYS_lseek, wanted->number, wanted->value, 0);
}

static const struct descriptor *descriptor_of(int number) {
  const struct descriptor *all = table(&image->descriptors);
  for (uint64_t i = 0; i < image->descriptors.count; i++)
    if (all[i].number == number) return &all[i];
  return 0;
}

static void open_descriptors(void) {
  static char memory_path[] = "/proc/self/fd/0000";
  const struct descriptor *all = table(&image->descriptors);
  const struct watch *watches = table(&image->watches);
  char *digits = memory_path + sizeof "/proc/self/fd/" - 1;
  for (uint32_t number = image->memory, i = 4; i-- > 0; number /= 10) digits[i] = (char)('0' + number % 10);
  // Leading zeros are not part of a number in there.
  while (digits[0] == '0' && digits[1] != 0)
    for (size_t i = 0; digits[i] != 0; i++) digits[i] = digits[i + 1];
  for (uint64_t i = 0; i < image->descriptors.count; i++) {
    const struct descriptor *wanted = &all[i];
    switch (wanted->kind) {
      case OPEN_PATH: open_path(wanted); break;
      case OPEN_MEMORY:
        place_descriptor(call(SYS_openat, AT_FDCWD, memory_path, wanted->flags & ~(O_CREAT | O_EXCL | O_TRUNC), 0), wanted, "open");
        break;
      case OPEN_EVENTS:
        place_descriptor(call(SYS_eventfd2, wanted->value, wanted->flags & (O_NONBLOCK | O_CLOEXEC)), wanted, "eventfd");
        break;
      case OPEN_SIGNALS:
        place_descriptor(call(SYS_signalfd4, -1, &wanted->value, 8, wanted->flags & (O_NONBLOCK | O_CLOEXEC)), wanted, "signalfd");
        break;
      case OPEN_POLL: place_descriptor(call(SYS_epoll_create1, wanted->flags & O_CLOEXEC), wanted, "epoll"); break;
      case OPEN_TAP: place_descriptor(open_tap(wanted), wanted, "tap"); break;
    }
  }
  for (uint64_t i = 0; i < image->watches.count; i++) {
    struct epoll_event event = {watches[i].events, watches[i].data};
    if (descriptor_of(watches[i].number) == 0) fail("a watched descriptor is not there", "", 0);
    check(call(SYS_epoll_ctl, watches[i].poll, EPOLL_CTL_ADD, watches[i].number, &event), "epoll_ctl", "");
  }
}

// --- Mappings

static long open_file(const struct file *file) {
  struct stat status;
  long opened = check(call(SYS_openat, AT_FDCWD, file->path, O_RDONLY | O_CLOEXEC), "open", file->path);
  check(call(SYS_fstat, opened, &status), "stat", file->path);
  if (status.st_ino != file->inode || (uint64_t)status.st_size != file->size || status.st_mtime != file->seconds ||
      status.st_mtime_nsec != file->nanoseconds)
    fail("it is another file:", file->path, 0);
  return opened;
}

static long map(uint64_t start, uint64_t bytes, uint64_t protection, long flags, long file, uint64_t offset) {
  long result = call(SYS_mmap, start, bytes, protection, flags | MAP_PRIVATE | MAP_FIXED, file, offset);
  if (result != (long)start) fail("mmap", "", result);
  return result;
}

// The main thread's stack grows by itself; here, all of what it may need is there at once.
#define STACK_ROOM (8UL << 20)

// The kernel shows a command line to others only where it lies in memory without a file.
static int is_in_stack(const struct run *run) {
  return run->start <= image->addresses.arg_start && image->addresses.arg_start < run->start + run->pages * PAGE;
}

static void read_run(const struct run *run, long self) {
  uint64_t bytes = run->pages * PAGE;
  for (uint64_t done = 0; done < bytes;) {
    long count = check(call(SYS_pread64, self, run->start + done, bytes - done, run->offset + done), "read", "");
    if (count == 0) fail("the image is cut short", "", 0);
    done += (uint64_t)count;
  }
}

static void map_places(long self) {
  const struct place *places = table(&image->places);
  const struct file *files = table(&image->files);
  const struct run *runs = table(&image->runs);
  long opened = -1;
  uint32_t which = 0;
  for (uint64_t i = 0; i < image->places.count; i++) {
    const struct place *place = &places[i];
    uint64_t bytes = place->end - place->start;
    switch (place->kind) {
      case PLACE_ANONYMOUS:
        if (place->grows && (i == 0 || places[i - 1].end + STACK_ROOM < place->start))
          map(place->start - STACK_ROOM, STACK_ROOM, place->protection, MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        map(place->start, bytes, place->protection, MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        break;
      case PLACE_FILE:
        if (opened < 0 || which != place->file) {
          if (opened >= 0) call(SYS_close, opened);
          which = place->file;
          opened = open_file(&files[which]);
        }
        map(place->start, bytes, place->protection, 0, opened, place->offset);
        break;
      case PLACE_MEMORY:
        map(place->start, bytes, place->protection, MAP_NORESERVE, image->memory, place->offset);
        break;
    }
    if (place->huge) call(SYS_madvise, place->start, bytes, MADV_HUGEPAGE);
  }
  if (opened >= 0) call(SYS_close, opened);
  for (uint64_t i = 0; i < image->runs.count; i++)
    if (is_in_stack(&runs[i]))
      read_run(&runs[i], self);
    else
      map(runs[i].start, runs[i].pages * PAGE, runs[i].protection, MAP_NORESERVE, self, runs[i].offset);
}

// All at once: each page that is looked at first, and written to afterwards, would be two faults.
static void touch_memory(void) {
  for (uint64_t i = 0; i < touched_count; i++)
    call(SYS_madvise, touched[i].start, touched[i].pages * PAGE, touched[i].written ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
  // It is another workload's.
  memset(touched, 0, sizeof touched);
}

static void move(uint64_t from, uint64_t to, uint64_t bytes) {
  if (from == to) return;
  long result = call(SYS_mremap, from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  if (result != (long)to) fail("mremap", "", result);
}

// The kernel's pages were and are in one piece, in the same order: their code finds their data by the distance.
static uint64_t kernel_start(uint64_t *data_bytes) {
  const struct place *places = table(&image->places);
  uint64_t start = 0;
  *data_bytes = 0;
  for (uint64_t i = 0; i < image->places.count; i++) {
    if (places[i].kind != PLACE_KERNEL) continue;
    if (start == 0) start = places[i].start;
    if (places[i].protection & 4) return start;
    *data_bytes += places[i].end - places[i].start;
  }
  fail("the kernel's pages are missing", "", 0);
}

static void move_kernel_pages(uint64_t from, uint64_t to) {
  const struct place *places = table(&image->places);
  uint64_t data_bytes, start = kernel_start(&data_bytes);
  for (uint64_t i = 0; i < image->places.count; i++)
    if (places[i].kind == PLACE_KERNEL)
      move(from + (places[i].start - start), to + (places[i].start - start), places[i].end - places[i].start);
}

static void drop(uint64_t start, uint64_t end) {
  if (start < end) check(call(SYS_munmap, start, end - start), "munmap", "");
}

// --- Threads

// asm/ucontext.h, which cannot be had without a C library.
struct context {
  unsigned long flags, link;
  unsigned long stack, stack_flags, stack_bytes;
  struct sigcontext registers;
  unsigned long mask;
};
#define CONTEXT_HAS_STATE 1UL
#define CONTEXT_HAS_SS 2UL
#define CONTEXT_STRICT_SS 4UL
#define NO_SIGNAL_STACK 2

struct frame {
  struct context context;
  char state[] __attribute__((aligned(64)));
};

static void *frame_of(uint64_t index, const struct thread *thread) {
  struct frame *frame = (struct frame *)frames[index];
  struct sigcontext *to = &frame->context.registers;
  const struct user_regs_struct *from = &thread->registers;
  if (thread->state_bytes + sizeof *frame + 64 > sizeof frames[index]) fail("a thread's state is too large", "", 0);
  memcpy(frame->state, (const char *)image + thread->state, thread->state_bytes);
  uint64_t features;
  memcpy(&features, frame->state + offsetof(struct _fpstate_64, sw_reserved), sizeof features);
  struct _fpx_sw_bytes mark = {
    .magic1 = FP_XSTATE_MAGIC1,
    .extended_size = (uint32_t)(thread->state_bytes + FP_XSTATE_MAGIC2_SIZE),
    .xfeatures = features,
    .xstate_size = (uint32_t)thread->state_bytes,
  };
  memcpy(frame->state + offsetof(struct _fpstate_64, sw_reserved), &mark, sizeof mark);
  uint32_t end = FP_XSTATE_MAGIC2;
  memcpy(frame->state + thread->state_bytes, &end, sizeof end);
  memset(&frame->context, 0, sizeof frame->context);
  frame->context.flags = CONTEXT_HAS_STATE | CONTEXT_HAS_SS | CONTEXT_STRICT_SS;
  frame->context.stack_flags = NO_SIGNAL_STACK;
  frame->context.mask = thread->mask;
  to->r8 = from->r8;
  to->r9 = from->r9;
  to->r10 = from->r10;
  to->r11 = from->r11;
  to->r12 = from->r12;
  to->r13 = from->r13;
  to->r14 = from->r14;
  to->r15 = from->r15;
  to->rdi = from->rdi;
  to->rsi = from->rsi;
  to->rbp = from->rbp;
  to->rbx = from->rbx;
  to->rdx = from->rdx;
  to->rax = from->rax;
  to->rcx = from->rcx;
  to->rsp = from->rsp;
  to->rip = from->rip;
  to->eflags = from->eflags;
  to->cs = (uint16_t)from->cs;
  to->ss = (uint16_t)from->ss;
  to->fpstate = (void *)frame->state;
  return frame;
}

_Noreturn static void go_on(uint64_t index) {
  const struct thread *thread = (const struct thread *)table(&image->threads) + index;
  void *frame = frame_of(index, thread);
  if (index == 0) check(call(SYS_arch_prctl, ARCH_SET_FS, thread->registers.fs_base), "arch_prctl", "");
  if (index == 0) call(SYS_set_tid_address, thread->clear);
  if (thread->registers.gs_base != 0) call(SYS_arch_prctl, ARCH_SET_GS, thread->registers.gs_base);
  call(SYS_prctl, PR_SET_NAME, thread->name);
  // As QEMU has it: it counts on timers that are exact.
  call(SYS_prctl, PR_SET_TIMERSLACK, 1);
  if (thread->robust != 0) call(SYS_set_robust_list, thread->robust, thread->robust_bytes);
  if (thread->sequences != 0) call(SYS_rseq, thread->sequences, thread->sequences_bytes, 0, thread->sequences_mark);
  __asm__ volatile("mov %0, %%rsp\n mov %1, %%eax\n syscall\n hlt" : : "r"(frame), "i"(SYS_rt_sigreturn) : "memory");
  __builtin_unreachable();
}

// A thread's stack has its number in its first word: a new thread has no other way to know it.
__asm__(
  ".text\n"
  "start_thread:\n"
  "  mov %rcx, %r10\n"
  "  mov $56, %eax\n"
  "  syscall\n"
  "  test %rax, %rax\n"
  "  jz 1f\n"
  "  ret\n"
  "1:\n"
  "  xor %ebp, %ebp\n"
  "  pop %rdi\n"
  "  call begin_thread\n"
  "  hlt\n");
long start_thread(unsigned long flags, void *stack, int *id, uint64_t clear, uint64_t local);

#define NOBODY 0xffffffffUL

__attribute__((used)) _Noreturn void begin_thread(uint64_t index) {
  if (index != NOBODY) go_on(index);
  for (;;) call(SYS_exit, 0);
}

// QEMU's own filter lets threads be made as the C library makes them, and nothing else.
#define THREAD_FLAGS                                                                                           \
  (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | \
   CLONE_CHILD_CLEARTID)

static long new_thread(char *stack, uint64_t index, uint64_t clear, uint64_t local) {
  static int id;
  uint64_t *top = (uint64_t *)(stack + STACK - 64);
  *top = index;
  return check(start_thread(THREAD_FLAGS, top, &id, clear, local), "clone", "");
}

// The threads have the numbers that they had, in this jail's name space: the C library keeps them.
static void start_threads(void) {
  const struct thread *threads = table(&image->threads);
  long last = 1;
  for (uint64_t i = 1; i < image->threads.count; i++) {
    while (last + 1 < threads[i].id) {
      last = new_thread(spare_stack, NOBODY, 0, 0);
      // It has ended when there is nobody of that number.
      while (call(SYS_tgkill, 1, last, 0) == 0) call(SYS_sched_yield);
    }
    last = new_thread(stacks[i], i, threads[i].clear, threads[i].registers.fs_base);
    if (last != threads[i].id) fail("a thread has another number", "", last);
  }
}

static void set_actions(void) {
  const struct action *actions = table(&image->actions);
  for (uint64_t i = 0; i < image->actions.count; i++)
    check(call(SYS_rt_sigaction, actions[i].signal, &actions[i].handler, 0, 8), "sigaction", "");
}

static void set_filter(void) {
  struct sock_fprog program = {(unsigned short)image->filter.count, (struct sock_filter *)table(&image->filter)};
  check(call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp", "");
}

// A number that no other machine has, where the guest's memory holds it.
static void set_generation(void) {
  const struct place *places = table(&image->places);
  char number[16];
  if (image->generation_count == 0) return;
  check(call(SYS_getrandom, number, sizeof number, 0), "getrandom", "");
  for (uint64_t i = 0; i < image->generation_count && i < MOST_GENERATIONS; i++)
    for (uint64_t k = 0; k < image->places.count; k++) {
      const struct place *place = &places[k];
      uint64_t at = image->generations[i];
      if (place->kind != PLACE_MEMORY || at < place->offset || at - place->offset + 16 > place->end - place->start) continue;
      memcpy((void *)(place->start + (at - place->offset)), number, sizeof number);
    }
}

__attribute__((used)) _Noreturn static void resume(void) {
  const struct thread *threads = table(&image->threads);
  long self = HIGH_DESCRIPTOR;
  uint64_t all = ~0UL;
  if (threads[0].id != 1 || call(SYS_getpid) != 1) fail("it is not the first process", "", 0);
  // Until a thread goes on, which sets its own.
  check(call(SYS_rt_sigprocmask, 2, &all, 0, 8), "sigprocmask", "");
  drop(0x10000, THAW_START);
  drop(KERNEL_PAGES_PLACE + (1UL << 20), ADDRESSES_END);
  map_places(self);
  touch_memory();
  uint64_t data_bytes;
  move_kernel_pages(KERNEL_PAGES_PLACE, kernel_start(&data_bytes));
  // What ps shows, and where the heap goes on. A kernel that refuses it shows nothing, and the heap grows elsewhere.
  call(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, &image->addresses, sizeof image->addresses, 0);
  set_generation();
  set_actions();
  call(SYS_close, self);
  set_filter();
  start_threads();
  go_on(0);
}

static char main_stack[STACK] __attribute__((aligned(64)));

__attribute__((used)) _Noreturn static void begin(const uint64_t *stack) {
  uint64_t at = *stack + 2, code = 0;
  while (stack[at] != 0) at++;
  for (at++; stack[at] != AT_NULL; at += 2)
    if (stack[at] == AT_SYSINFO_EHDR) code = stack[at + 1];
  // Of the two descriptors, the image's is the last that it was handed.
  long self = 6;
  static struct image head;
  if (call(SYS_pread64, self, &head, sizeof head, 0) != sizeof head || head.magic != IMAGE_MAGIC || head.self != (uint32_t)self ||
      head.tables_bytes > TABLES_MOST || head.threads.count == 0 || head.threads.count > MOST_THREADS)
    fail("this is no image", "", 0);
  image = (const struct image *)map(TABLES_PLACE, head.tables_bytes, 1, 0, self, 0);
  check(call(SYS_dup3, self, HIGH_DESCRIPTOR, O_CLOEXEC), "dup3", "");
  call(SYS_close, self);
  long bytes = call(SYS_pread64, self + 1, touched, sizeof touched, 0);
  if (bytes > 0) touched_count = (uint64_t)bytes / sizeof *touched;
  call(SYS_close, self + 1);
  open_descriptors();
  uint64_t data_bytes;
  kernel_start(&data_bytes);
  move_kernel_pages(code - data_bytes, KERNEL_PAGES_PLACE);
  // From here on there is no other stack.
  __asm__ volatile("mov %0, %%rsp\n xor %%ebp, %%ebp\n call resume\n hlt" : : "r"(main_stack + STACK - 64) : "memory");
  __builtin_unreachable();
}

__asm__(
  ".text\n"
  ".globl _start\n"
  "_start:\n"
  "  xor %ebp, %ebp\n"
  "  mov %rsp, %rdi\n"
  "  and $-16, %rsp\n"
  "  call begin\n"
  "  hlt\n");
