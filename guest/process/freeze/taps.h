// Its network cards.
#pragma once
#include "../image.h"

void read_tap(struct descriptor *descriptor);
