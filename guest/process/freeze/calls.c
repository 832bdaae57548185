#include "calls.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../image.h"
#include "places.h"
#include "process.h"
#include "report.h"

static struct user_regs_struct first_registers;
static bool is_stepped;
// What it was to be given meanwhile.
static int signal_to_take;

void note_registers(const struct user_regs_struct *registers) { first_registers = *registers; }

void let_go_on(void) {
  struct iovec before = {&first_registers, sizeof first_registers};
  if (!is_stepped) return;
  ptrace(PTRACE_SETREGSET, process_id, NT_PRSTATUS, &before);
  ptrace(PTRACE_DETACH, process_id, 0, signal_to_take);
}

uint64_t call_place(void) {
  for (size_t i = 0; i < places.count; i++) {
    const struct place *place = (const struct place *)places.items + i;
    if (place->kind != PLACE_KERNEL || !(place->protection & PROT_EXEC)) continue;
    for (uint64_t at = place->start; at + 1 < place->end; at++)
      if ((read_word(at) & 0xffff) == 0x050f) return at;
  }
  fail("it has no place to call the kernel from");
}

long call_process(uint64_t place, long number, uint64_t one, uint64_t two, uint64_t three, uint64_t four) {
  struct user_regs_struct registers = first_registers;
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
  if (ptrace(PTRACE_SETREGSET, process_id, NT_PRSTATUS, &vector) < 0 || ptrace(PTRACE_SINGLESTEP, process_id, 0, 0) < 0)
    fail("it cannot be stepped: %s", strerror(errno));
  if (waitpid(process_id, &status, __WALL) != process_id || !WIFSTOPPED(status)) fail("it has ended");
  if (WSTOPSIG(status) != SIGTRAP) {
    signal_to_take = WSTOPSIG(status);
    fail_for_now("it has a signal to take");
  }
  vector.iov_len = sizeof registers;
  if (ptrace(PTRACE_GETREGSET, process_id, NT_PRSTATUS, &vector) < 0) fail("its registers: %s", strerror(errno));
  if (registers.rip != place + 2) fail("it is not where it should be");
  return (long)registers.rax;
}
