// The rate of the guest's clock.
#pragma once
#include "common.h"

// Has the kernel take another clock if the one it chose runs wrong. Needs /proc and /sys.
int clock_check(void);
