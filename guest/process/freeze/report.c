#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "calls.h"

void fail(const char *format, ...) {
  let_go_on();
  va_list list;
  va_start(list, format);
  fputs("hull-freeze: ", stderr);
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
  exit(1);
}
