// System calls that the process is made to do: what the kernel tells nobody else.
#pragma once
#include <stdint.h>
#include <sys/user.h>

// Of the first thread, as it stands: it may have to go on.
void note_registers(const struct user_regs_struct *registers);

// Where it has the instruction that calls the kernel.
uint64_t call_place(void);
// The result of a call of its first thread, which has to be stopped.
long call_process(uint64_t place, long number, uint64_t one, uint64_t two, uint64_t three, uint64_t four);

// As if nothing had been done to it.
void let_go_on(void);
