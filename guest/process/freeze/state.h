// The floating point state of a thread, as ptrace gives it and the frame of a signal takes it.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define MOST_STATE 16384
// The state of old, and the header that says what else there is (Linux, Documentation/arch/x86/xstate.rst).
#define LEAST_STATE 576

// What of the state a signal's frame takes, without what has to be asked for.
uint64_t state_bytes(unsigned char *state, size_t had);
