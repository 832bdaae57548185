#include "frame.h"

#include <asm/sigcontext.h>
#include <stddef.h>

#include "report.h"
#include "system.h"
#include "tables.h"
#include "threads.h"

#define MOST_STATE 16384

static char frames[MOST_THREADS][MOST_STATE + 1024] __attribute__((aligned(64)));

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

void *frame_of(uint64_t index, const struct thread *thread) {
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
