// hull-thaw: becomes the process that an image (../image.h) was made of.
//
// It is started as that process was, in a jail of its own, with the guest's memory and the image as descriptors. It has no C
// library: it takes every mapping away, its own stack among them, lays those of the image where they were, and goes on where
// the process stood. The guest's memory and all pages are mapped privately: nothing that it does changes the image.
//
// What is different from the process that was saved is what has a file of the jail behind it: sockets, disks, taps.
//
// Sources: clone(2), prctl(2) (PR_SET_MM_MAP).
#include <linux/auxvec.h>
#include <linux/fcntl.h>
#include <linux/prctl.h>

#include "../image.h"
#include "actions.h"
#include "descriptors.h"
#include "filter.h"
#include "generation.h"
#include "kernel-pages.h"
#include "places.h"
#include "report.h"
#include "stack.h"
#include "system.h"
#include "tables.h"
#include "threads.h"
#include "touched.h"

#define ADDRESSES_END 0x7ffffffff000UL

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
  place_kernel_pages();
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
  open_tables(self);
  check(call(SYS_dup3, self, HIGH_DESCRIPTOR, O_CLOEXEC), "dup3", "");
  call(SYS_close, self);
  read_touched(self + 1);
  call(SYS_close, self + 1);
  open_descriptors();
  put_kernel_pages_aside(code);
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
