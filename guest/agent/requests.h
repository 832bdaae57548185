// What the daemon sends: one function per frame, one per verb.
#pragma once
#include "port.h"

void requests_handle(const struct frame *frame);
// Whether the daemon has asked for the end.
bool requests_ending(void);
