// How it ends when it cannot go on.
#pragma once

// A line on the console, with the error that a call has returned.
_Noreturn void fail(const char *what, const char *which, long result);
// The result of a call that must not fail.
long check(long result, const char *what, const char *which);
