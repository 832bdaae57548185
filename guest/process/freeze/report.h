// How it ends when a process cannot be kept.
#pragma once

// Both say why in a line; the process goes on. What stands in the way only now may be gone in a moment: that is another exit code.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void fail_for_now(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Likewise, when it takes longer: whatever the process has made of itself, looking at it ends.
void limit_time(unsigned seconds);
