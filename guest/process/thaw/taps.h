// The network cards of this jail.
#pragma once
#include "../image.h"

long open_tap(const struct descriptor *wanted);
