// What every file of the agent uses: cleanup attributes, errors to the console.
#pragma once
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void cleanup_close_fd(int *fd) {
  if (*fd >= 0) {
    int saved = errno;
    close(*fd);
    errno = saved;
  }
}
static inline void cleanup_free_pointer(void *pointer) { free(*(void **)pointer); }
static inline void cleanup_close_file(FILE **file) {
  if (*file) fclose(*file);
}

#define cleanup_close __attribute__((cleanup(cleanup_close_fd)))
#define cleanup_free __attribute__((cleanup(cleanup_free_pointer)))
#define cleanup_file __attribute__((cleanup(cleanup_close_file)))

// Takes the value out of a variable with a cleanup attribute.
static inline int steal_fd(int *fd) {
  int value = *fd;
  *fd = -1;
  return value;
}

// A line on the console, which the host shows the end of when the VM is lost.
void console(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Why an operation failed, for the daemon: a result of the protocol and a sentence.
struct failure {
  uint8_t result;
  char message[240];
};

// Both return -1, so that a function can end with `return fail(…)`. fail_errno adds strerror(errno).
int fail(struct failure *failure, uint8_t result, const char *format, ...) __attribute__((format(printf, 3, 4)));
int fail_errno(struct failure *failure, const char *format, ...) __attribute__((format(printf, 2, 3)));

void *must_allocate(size_t bytes);
