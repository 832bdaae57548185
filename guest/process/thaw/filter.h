// The filter of system calls that the process had set for itself.
#pragma once

// Of all threads that are started from then on.
void set_filter(void);
