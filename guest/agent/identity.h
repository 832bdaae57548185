// The machine was saved and goes on, as the one it was or as one more: who it is, what time it is.
#pragma once
#include "fields.h"

// Stops the workload between two instructions (see protocol.md for the modes), or lets it go on.
int identity_freeze(unsigned mode, struct failure *failure);
// Takes up the time and entropy of now, and another identity if the request has one; then the workload goes on.
int identity_thaw(struct reader *fields, struct failure *failure);
