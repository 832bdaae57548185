// Does what a set-up and two starts ask for, by the same functions, in a process and in name spaces that go away: an
// emulator has translated all of it then. Besides what it is the first to use, nothing of it stays.
#pragma once
#include "fields.h"

// The bodies of a set-up request, of the start of a main program that ends with its input, and of one beside it that ends by
// itself. Fails only if something of the rehearsal may be left.
int rehearse(struct reader *fields, struct failure *failure);
