// The threads, each of which goes on where it stood.
#pragma once
#include <stdint.h>

#define MOST_THREADS 32

// All but the first.
void start_threads(void);
// As the thread of that index.
_Noreturn void go_on(uint64_t index);
