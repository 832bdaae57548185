// The frame of a signal: what a thread returns from to be where it stood.
//
// Sources: Linux, arch/x86/include/uapi/asm/sigcontext.h, Documentation/arch/x86/xstate.rst, rt_sigreturn(2).
#pragma once
#include "../image.h"

// Where the stack has to point to when it returns.
void *frame_of(uint64_t index, const struct thread *thread);
