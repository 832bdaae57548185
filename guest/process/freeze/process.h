// The process that is to be kept, as /proc shows it.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

extern pid_t process_id;
// Its memory, to be read at its own addresses.
extern int process_memory;
// The number of its descriptor of the guest's memory.
extern uint32_t guest_memory;

void open_process(pid_t id, uint32_t memory);

// What is below /proc/PID; the caller closes it.
FILE *open_proc(const char *name);
int open_proc_file(const char *name);

// 0 where there is nothing.
uint64_t read_word(uint64_t address);
