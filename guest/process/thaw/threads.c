#include "threads.h"

#include <asm/prctl.h>
#include <linux/prctl.h>
#include <linux/sched.h>

#include "frame.h"
#include "report.h"
#include "stack.h"
#include "system.h"
#include "tables.h"

static char stacks[MOST_THREADS][STACK] __attribute__((aligned(64)));
// Of a thread that only takes a number.
static char spare_stack[STACK] __attribute__((aligned(64)));

void go_on(uint64_t index) {
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
void start_threads(void) {
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
