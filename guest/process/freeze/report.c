#include "report.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "calls.h"

#define EXIT_FOR_NOW 2

_Noreturn static void end(int code, const char *format, va_list list) {
  let_go_on();
  fputs("hull-freeze: ", stderr);
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
  exit(code);
}

void fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  end(EXIT_FAILURE, format, list);
}

void fail_for_now(const char *format, ...) {
  va_list list;
  va_start(list, format);
  end(EXIT_FOR_NOW, format, list);
}

static void end_late(int signal) {
  static const char text[] = "hull-freeze: it takes too long\n";
  (void)signal;
  let_go_on();
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(EXIT_FOR_NOW);
  _exit(EXIT_FOR_NOW);
}

void limit_time(unsigned seconds) {
  signal(SIGALRM, end_late);
  alarm(seconds);
}
