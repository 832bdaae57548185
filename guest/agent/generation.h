// The device that tells the kernel that it is a copy (vmgenid). What the kernel then does takes its time, and takes it
// from a start in which the agent has reseeded the random numbers anyway: it is put off until the workload runs.
#pragma once
#include "common.h"

// At boot: the kernel is not to hear of the next change.
int generation_hold(void);
// Lets it hear, a moment after the workload has started. Milliseconds until it has to be called again, or -1.
int generation_release(bool workload_runs);
