// What it does at which signal.
#pragma once
#include "list.h"

extern struct list actions;

// Writes below the stack of the first thread: the pages have to be in the image already.
void read_actions(void);
