#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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
