#include "common.h"

#include <fcntl.h>

#include "protocol.h"

void console(const char *format, ...) {
  char line[512];
  int used = snprintf(line, sizeof line, "agent: ");
  va_list arguments;
  va_start(arguments, format);
  used += vsnprintf(line + used, sizeof line - used - 1, format, arguments);
  va_end(arguments);
  if (used > (int)sizeof line - 2) used = sizeof line - 2;
  line[used++] = '\n';
  cleanup_close int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0 && write(fd, line, used) < 0) return;
}

int fail(struct failure *failure, uint8_t result, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failure->message, sizeof failure->message, format, arguments);
  va_end(arguments);
  failure->result = result;
  return -1;
}

int fail_errno(struct failure *failure, const char *format, ...) {
  const char *reason = strerror(errno);
  va_list arguments;
  va_start(arguments, format);
  int used = vsnprintf(failure->message, sizeof failure->message, format, arguments);
  va_end(arguments);
  if (used >= 0 && used < (int)sizeof failure->message)
    snprintf(failure->message + used, sizeof failure->message - used, ": %s", reason);
  failure->result = RESULT_FAILED;
  return -1;
}

void *must_allocate(size_t bytes) {
  void *memory = calloc(1, bytes ? bytes : 1);
  if (!memory) {
    console("out of memory");
    abort();
  }
  return memory;
}
