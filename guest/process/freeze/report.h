// How it ends when a process cannot be kept.
#pragma once

// Says why in a line. The process goes on.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
