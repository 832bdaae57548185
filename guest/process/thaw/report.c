#include "report.h"

#include "system.h"

static size_t length_of(const char *text) {
  size_t length = 0;
  while (text[length] != 0) length++;
  return length;
}

static void say(const char *text) {
  call(SYS_write, 2, text, length_of(text));
}

static void say_number(unsigned long number) {
  char digits[20];
  size_t at = sizeof digits;
  do digits[--at] = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  call(SYS_write, 2, digits + at, sizeof digits - at);
}

void fail(const char *what, const char *which, long result) {
  say("hull-thaw: ");
  say(what);
  if (which[0] != 0) say(" ");
  say(which);
  say(": error ");
  say_number((unsigned long)-result);
  say("\n");
  for (;;) call(SYS_exit_group, 1);
}

long check(long result, const char *what, const char *which) {
  if (result < 0 && result > -4096) fail(what, which, result);
  return result;
}
