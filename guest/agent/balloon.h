// Memory that the guest's kernel has freed goes back to the host (virtio-balloon, free page reporting).
#pragma once
#include "common.h"

// Milliseconds until it is to begin, which a machine whose workload ends soon never pays for; -1: it has, or cannot yet.
int balloon_wait(void);
// Begins when it is time.
void balloon_begin(void);
