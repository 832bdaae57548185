// Its threads: stopped, and what each of them goes on with.
//
// Sources: ptrace(2), rseq(2), get_robust_list(2).
#pragma once
#include "../image.h"
#include "list.h"

extern struct thread threads[];
extern struct list thread_list;

// Until this program ends, which lets them go on.
void stop_threads(void);
void read_threads(void);

// The tables of the image have a place for each one's state, which the thread's entry names.
void place_states(void);
void put_states(void);
